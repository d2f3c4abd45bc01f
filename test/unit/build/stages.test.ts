/** Stages, ARG and what --from means. */
import { describe, expect, test } from 'vitest';
import { BuildArguments, platformArguments } from '../../../src/build/arguments.ts';
import { parseDockerfile } from '../../../src/build/dockerfile/parser.ts';
import { sourceOf, stagesOf, targetStage } from '../../../src/build/stages.ts';

const amd64 = { os: 'linux', architecture: 'amd64', variant: '' };
const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };

function argumentsOf(given: Record<string, string> = {}): BuildArguments {
  return new BuildArguments(new Map(Object.entries(given)), platformArguments(amd64, arm, 'default'));
}

function stages(text: string, given: Record<string, string> = {}) {
  return stagesOf(parseDockerfile(text, 'Dockerfile'), argumentsOf(given));
}

const bases = (text: string, given: Record<string, string> = {}) =>
  stages(text, given).map(({ base }) =>
    base.kind === 'stage' ? base.stage.index : base.kind === 'image' ? base.image : '',
  );

describe('FROM', () => {
  test.each([
    ['FROM a AS x\nFROM X\nFROM scratch', {}, ['a', 0, '']],
    ['ARG A=b\nFROM $A:@{T:-latest}', {}, ['b:latest']],
    ['ARG A=b\nFROM $A', { A: 'c' }, ['c']],
    ['ARG A=b\nARG B=@{A}-slim\nFROM $B', { A: 'c' }, ['c-slim']],
    ['FROM a-$TARGETARCH$TARGETVARIANT', {}, ['a-armv7']],
    ['FROM x AS x\nFROM x', {}, ['x', 0]],
  ])('%j with %j', (text, given, expected) => expect(bases(text.replaceAll('@', '$'), given)).toEqual(expected));

  test.each([
    ['FROM a b', 'FROM requires either one or three arguments'],
    ['FROM a AS 1x', 'invalid name for build stage: "1x"'],
    ['FROM $A', 'base name ($A) should not be blank'],
    ['RUN x\nFROM a', 'no build stage in current context'],
    ['FROM --nope=1 a', 'unknown flag: --nope'],
    ['# nothing', 'has no build stage'],
  ])('%j is wrong', (text, message) => expect(() => stages(text)).toThrow(message));

  test('--target: by name, by number, the last', () => {
    const all = stages('FROM a AS one\nFROM b AS two\nFROM c');
    expect(targetStage(all, 'ONE').index).toBe(0);
    expect(targetStage(all, '1').index).toBe(1);
    expect(targetStage(all, '').index).toBe(2);
    expect(() => targetStage(all, 'three')).toThrow('target stage "three" could not be found');
  });

  test('--from: a stage before, else an image', () => {
    const all = stages('FROM a AS one\nFROM b AS two\nFROM c AS three');
    const [, two] = all;
    if (two === undefined) throw new Error('no stage');
    expect(sourceOf(all, two, 'one')).toBe(all[0]);
    expect(sourceOf(all, two, '0')).toBe(all[0]);
    expect(sourceOf(all, two, 'three')).toBe('three');
    expect(sourceOf(all, two, 'busybox:1')).toBe('busybox:1');
    for (const wrong of ['1', '2', '7', 'two', '$X'])
      expect(() => sourceOf(all, two, wrong)).toThrow('invalid from flag value');
  });
});

describe('ARG', () => {
  test('the command line, then the default, then what stands before FROM, then the platforms', () => {
    const args = argumentsOf({ GIVEN: 'given' });
    args.declareGlobal('GLOBAL', 'global');
    expect(args.declare('GIVEN', 'default')).toBe('given');
    expect(args.declare('GLOBAL', undefined)).toBe('global');
    expect(args.declare('GLOBAL', 'own')).toBe('own');
    expect(args.declare('TARGETPLATFORM', undefined)).toBe('linux/arm/v7');
    expect(args.declare('BUILDARCH', undefined)).toBe('amd64');
    expect(args.declare('NOTHING', undefined)).toBeUndefined();
  });

  test('proxies need no ARG; what nothing asks for is told', () => {
    const args = argumentsOf({ HTTP_PROXY: 'p', no_proxy: 'n', X: '1', Y: '2', BUILDKIT_INLINE_CACHE: '1' });
    args.declare('X', undefined);
    expect([...args.proxies().keys()]).toEqual(['HTTP_PROXY', 'no_proxy']);
    expect(args.unused()).toEqual(['Y']);
  });
});
