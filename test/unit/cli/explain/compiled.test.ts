import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { reasons, titles } from '../../../../src/cli/explain/translate.ts';
import type { Program } from '../../../../src/program/program.ts';
import { straceCall } from '../../../../src/program/strace.ts';
import type { CompileOptions } from '../../../../src/runtime/compile/context.ts';
import { compileExec } from '../../../../src/runtime/compile/exec.ts';
import { compileStart } from '../../../../src/runtime/compile/start.ts';
import { defaultMounts, maskedPaths, readonlyPaths } from '../../../../src/runtime/defaults.ts';
import type { NamespaceType, Process, Spec } from '../../../../src/runtime/spec.ts';

const seccomp = Uint8Array.of(6, 0, 0, 0, 0, 0, 255, 127);
const usual: Process = {
  cwd: '/work',
  user: { uid: 0, gid: 0, additionalGids: [0] },
  args: ['sh'],
  env: ['PATH=/bin:/usr/bin'],
  capabilities: { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'], ambient: ['CAP_KILL'] },
  rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1048576, hard: -1 }],
  oomScoreAdj: 100,
};
const allTypes: NamespaceType[] = ['mount', 'network', 'pid', 'ipc', 'uts', 'cgroup'];

const spec = (changes: Partial<Spec>, process: Partial<Process> = {}): Spec => ({
  ociVersion: '1.2.0',
  process: { ...usual, ...process },
  hostname: 'box',
  domainname: 'example.org',
  mounts: [
    ...defaultMounts(64 * 1024 * 1024),
    { destination: '/etc/hosts', type: 'bind', source: '/etc/hosts', options: ['rbind', 'rro', 'rslave'] },
    { destination: '/mnt', type: 'bind', source: '/', options: ['bind', 'ro', 'nodev', 'shared'] },
  ],
  linux: {
    namespaces: allTypes.map((type) => ({ type })),
    sysctl: { 'net.ipv4.ping_group_range': '0 1' },
    devices: [{ path: '/dev/sub/fuse', type: 'c', major: 10, minor: 229, uid: 3, gid: 4 }],
    maskedPaths: [...maskedPaths, '/etc/secret'],
    readonlyPaths: [...readonlyPaths],
  },
  ...changes,
});

const options = (spec: Spec, changes: Partial<CompileOptions> = {}): CompileOptions => ({
  spec,
  root: { kind: 'overlay', lowers: ['/l/1', '/l/2'], upper: '/u', work: '/w', mountPoint: '/s', appendLowers: true },
  joinNetns: false,
  intoCgroup: true,
  stdin: true,
  init: false,
  seccomp,
  exists: existsSync,
  lenientRlimit: () => true,
  ...changes,
});

const joined = allTypes.map((type) => ({ type, path: `/proc/1/ns/${type}` }));
const programs: [string, () => Program][] = [
  ['pipes', () => compileStart(options(spec({}))).build()],
  ['a terminal, no stdin', () => compileStart(options(spec({}, { terminal: true }), { stdin: false })).build()],
  ['no stdin, a user', () => compileStart(options(spec({}, { user: { uid: 5, gid: 6 } }), { stdin: false })).build()],
  ['init', () => compileStart(options(spec({}), { init: true, joinNetns: true })).build()],
  [
    'no new privileges',
    () => compileStart(options(spec({ root: { path: '', readonly: true } }, { noNewPrivileges: true }))).build(),
  ],
  ['joined namespaces', () => compileStart(options(spec({ linux: { namespaces: joined } }))).build()],
  ['no namespaces', () => compileStart(options(spec({ linux: { namespaces: [] } }), { intoCgroup: false })).build()],
  ['a directory', () => compileStart(options(spec({}), { root: { kind: 'directory', path: '/r' } })).build()],
  ...[true, false].map((appendLowers): [string, () => Program] => [
    `layers as filesystems, lowerdir+ ${appendLowers}`,
    () => {
      const lowers = [{ metadata: '/m', archive: '/a', fd: 13 }, '/l/2'];
      const root = { kind: 'overlay', lowers, upper: '/u', work: '/w', mountPoint: '/s', appendLowers } as const;
      return compileStart(options(spec({}), { root })).build();
    },
  ]),
  [
    'layers by descriptor',
    () => {
      const root = { kind: 'overlay', lowers: ['/l/1'], upper: '/u', work: '/w', mountPoint: '/s' } as const;
      return compileStart(options(spec({}), { root: { ...root, appendLowers: false } })).build();
    },
  ],
  ...[
    { terminal: true, pidLast: false },
    { terminal: false, pidLast: false },
    { terminal: true, pidLast: true },
    { terminal: false, pidLast: true },
  ].map(({ terminal, pidLast }): [string, () => Program] => [
    `exec, terminal ${terminal}, pid last ${pidLast}`,
    () =>
      compileExec({
        process: { ...usual, terminal },
        namespaces: allTypes,
        pidLast,
        intoCgroup: true,
        stdin: !terminal,
        target: terminal ? 'inherited' : 'slot',
        sync: terminal,
        seccomp,
        lenientRlimit: () => true,
      }).build(),
  ]),
];

/** What stays as it is in every language: names of files, devices, capabilities, commands. */
const untranslated = /^sysctl /;

test.each(programs)('%s: each title and reason that is compiled is in both languages', (_, compile) => {
  for (const { title, why } of compile().operations) {
    expect(titles.find(title), title).toBeDefined();
    if (!untranslated.test(title)) expect(titles.translate(title, 'ru'), title).toMatch(/[а-яё]/i);
    if (why === '') continue;
    expect(reasons.find(why), why).toBeDefined();
    expect(reasons.translate(why, 'ru'), why).toMatch(/[а-яё]/i);
  }
});

test.each(programs)('%s: no call is left with numbers where the kernel has names', (_, compile) => {
  const program = compile();
  for (const operation of program.operations) {
    const call = straceCall(operation, program);
    expect(call, operation.title).not.toMatch(/0x[0-9a-f]{3,}|undefined|NaN|\[object/);
  }
});
