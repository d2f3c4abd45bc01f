import { expect, test } from 'vitest';
import { AT_FDCWD } from '../../../src/linux/constants.ts';
import type { Operation } from '../../../src/program/program.ts';
import { describeFailure, renderCall, renderProgram } from '../../../src/program/render.ts';
import type { CompileOptions } from '../../../src/runtime/compile/context.ts';
import { candidates } from '../../../src/runtime/compile/execute.ts';
import { compileStart } from '../../../src/runtime/compile/start.ts';
import { defaultMounts, maskedPaths, readonlyPaths } from '../../../src/runtime/defaults.ts';
import type { Spec } from '../../../src/runtime/spec.ts';

function spec(changes: Partial<Spec> = {}, process: Partial<NonNullable<Spec['process']>> = {}): Spec {
  return {
    ociVersion: '1.2.0',
    process: {
      cwd: '/',
      user: { uid: 0, gid: 0 },
      args: ['/bin/true'],
      env: ['PATH=/bin:/usr/bin'],
      capabilities: { bounding: ['CAP_KILL'] },
      ...process,
    },
    mounts: defaultMounts(64 * 1024 * 1024),
    linux: {
      namespaces: [{ type: 'mount' }, { type: 'pid' }, { type: 'network' }],
      maskedPaths: [...maskedPaths],
      readonlyPaths: [...readonlyPaths],
    },
    ...changes,
  };
}

function compile(changes: Partial<CompileOptions> = {}): readonly Operation[] {
  return program(changes).operations;
}

function program(changes: Partial<CompileOptions> = {}): ReturnType<ReturnType<typeof compileStart>['build']> {
  return compileStart({
    spec: spec(),
    root: {
      kind: 'overlay',
      lowers: ['/l/1', '/l/2'],
      upper: '/c/upper',
      work: '/c/work',
      mountPoint: '/s',
      appendLowers: true,
    },
    joinNetns: false,
    intoCgroup: true,
    stdin: false,
    init: false,
    seccomp: Uint8Array.of(6, 0, 0, 0, 0, 0, 255, 127),
    exists: () => false,
    lenientRlimit: () => true,
    ...changes,
  }).build();
}

function position(operations: readonly Operation[], matches: (operation: Operation) => boolean): number {
  const found = operations.findIndex(matches);
  expect(found, 'the operation is in the list').toBeGreaterThanOrEqual(0);
  return found;
}

test('the walls stand before the command runs, in the order in which each can be built', () => {
  const operations = compile();
  const at = (call: string, title?: RegExp): number =>
    position(
      operations,
      (operation) => operation.call === call && (title === undefined || title.test(operation.title)),
    );
  const order = [
    at('clone3'),
    at('mount', /make all mounts private/),
    at('move_mount', /attach the overlay/),
    at('move_mount', /attach proc/),
    at('pivot_root'),
    at('umount2'),
    at('read', /ready/),
    at('close_range'),
    at('chdir', /working directory/),
    at('prctl', /bounding set/),
    at('seccomp'),
    at('setresuid'),
    at('capset'),
    at('execve'),
    at('fail'),
  ];
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test('with no_new_privs the filter is loaded last, since loading it needs no capability then', () => {
  const operations = compile({ spec: spec({}, { noNewPrivileges: true }) });
  const calls = operations.map((operation) => operation.call);
  expect(calls.lastIndexOf('seccomp')).toBeGreaterThan(calls.lastIndexOf('capset'));
  expect(operations[calls.lastIndexOf('seccomp') - 1]?.title).toBe('no new privileges');
});

test('layers go to the overlay from the top down', () => {
  const lowers = compile()
    .filter((operation) => operation.call === 'fsconfig' && /lowerdir/.test(operation.title))
    .map((operation) => operation.title);
  expect(lowers).toEqual(['overlay of the layers: lowerdir+=/l/2', 'overlay of the layers: lowerdir+=/l/1']);
});

test('a kernel without lowerdir+ gets the layers by descriptor in one page of options', () => {
  const operations = compile({
    root: {
      kind: 'overlay',
      lowers: ['/l/1', '/l/2'],
      upper: '/c/upper',
      work: '/c/work',
      mountPoint: '/s',
      appendLowers: false,
    },
  });
  const mount = operations.find((operation) => operation.title === 'mount the overlay of the layers');
  expect(mount && renderCall(mount)).toContain(
    'lowerdir=/proc/self/fd/500:/proc/self/fd/501,upperdir=/proc/self/fd/502,workdir=/proc/self/fd/503',
  );
});

test('a bare command is tried along PATH, and the last word is the errno that was kept', () => {
  const operations = compile({ spec: spec({}, { args: ['sh'], env: ['PATH=/a:/b/'] }) });
  const tries = operations.filter((operation) => operation.call === 'execve');
  expect(tries.map((operation) => operation.title)).toEqual(['run /a/sh', 'run /b/sh']);
  expect(tries.every((operation) => operation.remember && operation.tolerate.join() === 'ENOENT,ENOTDIR')).toBe(true);
  expect(operations.at(-1)?.call).toBe('fail');
  expect(candidates('./x', [])).toEqual(['./x']);
  expect(candidates('x', ['PATH=:/y'])).toEqual(['./x', '/y/x']);
});

test('a terminal leaves by a message, and no path below /dev/pts is ever built', () => {
  const operations = compile({ spec: spec({}, { terminal: true }) });
  expect(operations.some((operation) => operation.call === 'sendmsg')).toBe(true);
  expect(operations.some((operation) => /\/dev\/pts\/\d/.test(renderCall(operation)))).toBe(false);
});

/** What the container's first process does before the root is its own, from the moment when that is mounted. */
function insideMounts(): readonly Operation[] {
  const mounts = [
    ...defaultMounts(1024),
    { destination: '/a/b', type: 'bind', source: '/tmp', options: ['rbind', 'rro', 'rprivate'] },
  ];
  const linux = { ...spec().linux, devices: [{ path: '/x/null', type: 'c' as const, major: 1, minor: 3 }] };
  const operations = compile({
    spec: spec({ mounts, linux }, { terminal: true, cwd: '/w' }),
    exists: () => true,
    isDirectory: (path) => path !== '/proc/keys',
  });
  const from = position(operations, ({ title }) => title.startsWith('attach the overlay'));
  const to = position(operations, ({ call }) => call === 'pivot_root');
  return operations.slice(from + 1, to);
}

test('what is mounted goes from descriptor to descriptor, so that no name is looked up a second time', () => {
  const moves = insideMounts().filter(({ call }) => call === 'move_mount');
  expect(moves.length).toBeGreaterThan(20);
  for (const move of moves) expect(renderCall(move)).toMatch(/^move_mount\(<[^>]+>, "", <[^>]+>, "", 68\)$/);
});

test('no path is looked up but in the root of the container, and the null device of the host', () => {
  const lookups = insideMounts().filter(({ args }) => args[0] === AT_FDCWD);
  expect(lookups.length).toBeGreaterThan(0);
  for (const lookup of lookups) expect(renderCall(lookup)).toContain('open_tree(-100, "/dev/null", ');
});

test('nobody can look into the first process, from before it is anywhere else', () => {
  const operations = compile();
  const child = operations.slice(operations.find(({ call }) => call === 'clone3')?.branch?.at);
  const order = ['prctl', 'unshare', 'mount', 'open_tree'].map((name) => child.findIndex(({ call }) => call === name));
  expect(child[order[0] ?? -1]?.title).toBe('not dumpable');
  expect(order.filter((at) => at >= 0)).toEqual(order.filter((at) => at >= 0).sort((a, b) => a - b));
});

test('every operation says what it is, and the json form holds them all', () => {
  const built = program();
  expect(built.operations.every((operation) => operation.title.length > 0)).toBe(true);
  const parsed: unknown = JSON.parse(renderProgram(built, 'json'));
  expect(parsed).toHaveLength(built.operations.length);
  expect(renderProgram(built, 'text').split('\n').length).toBeGreaterThan(built.operations.length);
});

test('a failure names the step, the answer and what to do', () => {
  const built = program();
  const index = built.operations.findIndex((operation) => operation.call === 'clone3');
  const { message, hint } = describeFailure(built, index, 1);
  expect(message).toMatch(
    new RegExp(
      `^cannot make the container's first process .*: EPERM \\(step ${index + 1} of ${built.operations.length}: clone3`,
    ),
  );
  expect(hint).toBe('namespaces need root');
  const directory = built.operations.findLastIndex(({ call }) => call === 'chdir');
  expect(describeFailure(built, directory, 20).message).toMatch(/^cannot go to the working directory \//);
  expect(describeFailure(built, index, 0).message).toContain('the answer was 0, not the expected one');
  expect(describeFailure(built, 9999, 1).message).toContain('malformed');
});
