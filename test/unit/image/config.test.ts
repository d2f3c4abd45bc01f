import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/image/config.ts';

const diffId = `sha256:${'d'.repeat(64)}`;

function parse(document: unknown) {
  return parseConfig(Buffer.from(JSON.stringify(document)), { name: 'config of "x"', code: 'REGISTRY' });
}

const minimal = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [diffId] } };

test('all fields', () => {
  const config = parse({
    ...minimal,
    variant: 'v2',
    created: '2024-01-02T03:04:05.678Z',
    author: 'someone',
    config: {
      User: '1000:1000',
      Env: ['PATH=/bin', 'EMPTY='],
      Entrypoint: ['/entry'],
      Cmd: ['a', 'b'],
      WorkingDir: '/work',
      Labels: { a: 'b', ['__proto__']: 'c' },
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      Volumes: { '/data': {} },
      StopSignal: 'SIGQUIT',
      StopTimeout: 3,
      Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9, Retries: 3 },
      Shell: ['/bin/bash', '-c'],
      OnBuild: ['RUN x'],
    },
    history: [{ created: '2024-01-02T03:04:05Z', created_by: 'RUN x', empty_layer: true }, { comment: 'c' }],
  });
  expect(config).toEqual({
    platform: { os: 'linux', architecture: 'amd64', variant: 'v2' },
    created: '2024-01-02T03:04:05.678Z',
    author: 'someone',
    execution: {
      user: '1000:1000',
      env: ['PATH=/bin', 'EMPTY='],
      entrypoint: ['/entry'],
      cmd: ['a', 'b'],
      workingDir: '/work',
      labels: Object.fromEntries([
        ['a', 'b'],
        ['__proto__', 'c'],
      ]),
      exposedPorts: ['80/tcp', '53/udp'],
      volumes: ['/data'],
      stopSignal: 'SIGQUIT',
      stopTimeout: 3,
      healthcheck: { test: ['CMD', 'true'], interval: 1e9, timeout: 0, startPeriod: 0, startInterval: 0, retries: 3 },
      shell: ['/bin/bash', '-c'],
      onBuild: ['RUN x'],
    },
    diffIds: [diffId],
    history: [
      { created: '2024-01-02T03:04:05Z', createdBy: 'RUN x', author: '', comment: '', emptyLayer: true },
      { created: '', createdBy: '', author: '', comment: 'c', emptyLayer: false },
    ],
  });
});

test('what is absent or null, as Go writes it, is empty', () => {
  const config = parse({
    ...minimal,
    config: { Env: null, Cmd: null, Labels: null, Volumes: null, Healthcheck: null },
    history: null,
  });
  expect(config.execution).toMatchObject({ user: '', env: [], cmd: [], entrypoint: [], labels: {}, volumes: [] });
  expect(config.execution.healthcheck).toBeUndefined();
  expect(parse(minimal).execution.env).toEqual([]);
  expect(parse({ rootfs: {} }).diffIds).toEqual([]);
});

describe('what is refused', () => {
  test.each<[string, unknown, RegExp]>([
    ['no rootfs', { architecture: 'amd64' }, /rootfs is missing/],
    ['another rootfs', { rootfs: { type: 'layers+base' } }, /rootfs\.type must be "layers"/],
    ['diffID with a path', { rootfs: { diff_ids: ['sha256:../x'] } }, /rootfs\.diff_ids\[0\] is no digest/],
    ['diffID of another algorithm', { rootfs: { diff_ids: [`sha512:${'0'.repeat(128)}`] } }, /is not a sha256 digest/],
    ['too many layers', { rootfs: { diff_ids: Array(501).fill(diffId) } }, /more than 500/],
    ['Env as text', { ...minimal, config: { Env: 'A=b' } }, /config\.Env must be an array/],
    ['a number in Cmd', { ...minimal, config: { Cmd: ['a', 1] } }, /config\.Cmd\[1\] must be a string/],
    ['labels as list', { ...minimal, config: { Labels: ['a'] } }, /config\.Labels must be an object/],
    ['a label that is no text', { ...minimal, config: { Labels: { a: {} } } }, /config\.Labels\.a must be a string/],
    ['config as text', { ...minimal, config: 'x' }, /config must be an object/],
    ['os as number', { ...minimal, os: 5 }, /os must be a string/],
    ['a long os', { ...minimal, os: 'x'.repeat(65) }, /os is longer than 64/],
    ['empty_layer as text', { ...minimal, history: [{ empty_layer: 'yes' }] }, /empty_layer must be true or false/],
    ['too many variables', { ...minimal, config: { Env: Array(10_001).fill('A=b') } }, /more than 10000/],
  ])('%s', (_name, document, message) => {
    expect(() => parse(document)).toThrow(message);
  });
});
