import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createContainer, type ImageForContainer } from '../../../src/container/create.ts';
import { mergeEnvironment } from '../../../src/container/environment.ts';
import type { RunOptions } from '../../../src/container/run-options.ts';
import { ContainerStore } from '../../../src/container/store.ts';
import { runOptions as options } from '../../fixtures/run-options.ts';

let directory: string;
let store: ContainerStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-create-'));
  store = new ContainerStore(join(directory, 'root'), join(directory, 'state'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function image(files: string[] = [], changes: Partial<ImageForContainer> = {}): ImageForContainer {
  const path = mkdtempSync(join(directory, 'layer-'));
  for (const file of files) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), '', { mode: 0o755 });
  }
  return {
    id: 'sha256:1',
    layers: [{ chainId: `sha256:${'2'.repeat(64)}`, path }],
    env: ['A=1'],
    entrypoint: [],
    cmd: ['bash'],
    user: '',
    workingDir: '',
    exposedPorts: [],
    volumes: [],
    labels: { a: 'image' },
    stopSignal: '',
    ...changes,
  };
}

test('ash becomes dash where the image has only dash, and one line says so', () => {
  const notices: string[] = [];
  const notice = (line: string): number => notices.push(line);
  const debian = createContainer(store, options({ command: ['ash', '-c', 'x'] }), image(['bin/dash']), notice);
  expect(debian.record.process.args).toEqual(['/bin/dash', '-c', 'x']);
  expect(notices).toHaveLength(1);
  expect(notices[0]).toContain('/bin/dash');
  const busybox = createContainer(store, options({ command: ['ash'] }), image(['bin/dash', 'bin/ash']), notice);
  expect(busybox.record.process.args).toEqual(['ash']);
  const neither = createContainer(store, options({ command: ['ash'] }), image([]), notice);
  expect(neither.record.process.args).toEqual(['ash']);
  expect(notices).toHaveLength(1);
});

test("entrypoint and command follow docker's rules", () => {
  const args = (changes: Partial<RunOptions>, of: Partial<ImageForContainer>): string[] =>
    createContainer(store, options(changes), image([], of), () => {}).record.process.args;
  expect(args({}, { entrypoint: ['e'], cmd: ['c'] })).toEqual(['e', 'c']);
  expect(args({ command: ['x'] }, { entrypoint: ['e'], cmd: ['c'] })).toEqual(['e', 'x']);
  expect(args({ entrypoint: ['n'] }, { entrypoint: ['e'], cmd: ['c'] })).toEqual(['n']);
  expect(() => args({ entrypoint: [] }, { entrypoint: ['e'], cmd: ['c'] })).toThrow(/No command specified/);
});

test('names are unique until their container is gone', () => {
  const first = createContainer(store, options({ name: 'web' }), image(), () => {});
  expect(() => createContainer(store, options({ name: 'web' }), image(), () => {})).toThrow(
    `Conflict. The container name "/web" is already in use by container "${first.record.id}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
  expect(store.resolve('web').record.id).toBe(first.record.id);
  expect(store.resolve(first.record.id.slice(0, 7)).record.id).toBe(first.record.id);
  store.remove(first.record);
  expect(() => store.resolve('web')).toThrow(/No such container: web/);
  const second = createContainer(store, options({ name: 'web' }), image(), () => {});
  expect(store.list().map((container) => container.record.id)).toEqual([second.record.id]);
});

test('a name whose container vanished half made can be taken again', () => {
  mkdirSync(join(store.root, 'names'), { recursive: true });
  writeFileSync(join(store.root, 'names', 'web'), `${'a'.repeat(64)}\n`);
  const made = createContainer(store, options({ name: 'web' }), image(), () => {});
  expect(store.resolve('web').record.id).toBe(made.record.id);
});

test('a damaged record is named, with what to do', () => {
  const made = createContainer(store, options(), image(), () => {});
  writeFileSync(join(made.directory, 'container.json'), '{"version":1');
  expect(() => store.read(made.record.id)).toThrow(/container\.json" is damaged: it is no JSON/);
  writeFileSync(join(made.directory, 'container.json'), JSON.stringify({ ...made.record, id: 'b'.repeat(64) }));
  expect(() => store.read(made.record.id)).toThrow(/belongs to another container/);
});

test('the environment has a PATH, the later value wins, a bare name takes it away', () => {
  expect(mergeEnvironment(['A=1', 'B=2'], ['A=3', 'B'])).toEqual([
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'A=3',
  ]);
});

test('a missing source is made for -v and refused for --mount', () => {
  const mount = {
    type: 'bind',
    target: '/m',
    readOnly: false,
    propagation: '',
    nonRecursive: false,
    mode: '',
  } as const;
  const source = join(directory, 'new/source');
  expect(() =>
    createContainer(store, options({ mounts: [{ ...mount, source, createSource: false }] }), image(), () => {}),
  ).toThrow(/bind source path does not exist/);
  createContainer(store, options({ mounts: [{ ...mount, source, createSource: true }] }), image(), () => {});
  expect(existsSync(source)).toBe(true);
});

test('a damaged record hides no other container', () => {
  const good = createContainer(store, options(), image(), () => {});
  const bad = createContainer(store, options(), image(), () => {});
  writeFileSync(join(bad.directory, 'container.json'), '[]');
  const damaged: string[] = [];
  expect(store.list((error) => damaged.push(error.message)).map((container) => container.record.id)).toEqual([
    good.record.id,
  ]);
  expect(damaged).toEqual([expect.stringContaining(`${bad.record.id}/container.json" is damaged`)]);
});
