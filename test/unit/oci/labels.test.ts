/** Labels of AppArmor and SELinux: refused where the host has no such module, and where it has, written before the command runs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { labelsOf, mountLabelOf } from '../../../src/oci/labels.ts';
import type { Operation } from '../../../src/program/program.ts';
import { renderCall } from '../../../src/program/render.ts';
import { compileUnattendedExec } from '../../../src/runtime/compile/exec.ts';
import { compileCreate } from '../../../src/runtime/compile/start.ts';
import { defaultMounts } from '../../../src/runtime/defaults.ts';
import type { Process } from '../../../src/runtime/spec.ts';

const hosts: string[] = [];
afterAll(() => {
  for (const path of hosts) rmSync(path, { recursive: true });
});

/** A directory with the files by which a machine shows its modules. */
function host(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-labels.'));
  hosts.push(directory);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

const bare = host({ 'sys/module/apparmor/parameters/enabled': 'N\n' });
const selinux = host({ 'sys/fs/selinux/enforce': '1' });
const appArmor = host({ 'sys/module/apparmor/parameters/enabled': 'Y\n' });
const newerAppArmor = host({
  'sys/module/apparmor/parameters/enabled': 'Y\n',
  'proc/self/attr/apparmor/exec': '',
});

const process: Process = { cwd: '/', user: { uid: 0, gid: 0 }, args: ['/bin/true'], env: ['PATH=/bin'] };
const label = 'system_u:system_r:container_t:s0:c1,c2';
const fileLabel = 'system_u:object_r:container_file_t:s0:c1,c2';

test('a label for a module that the host has not is refused with its name', () => {
  for (const machine of [bare, host({})]) {
    expect(() => labelsOf({ ...process, selinuxLabel: label }, machine)).toThrow(
      `process.selinuxLabel "${label}": selinux is not enabled`,
    );
    expect(() => labelsOf({ ...process, apparmorProfile: 'docker-default' }, machine)).toThrow(
      'process.apparmorProfile "docker-default": apparmor is not enabled',
    );
    expect(labelsOf({ ...process, apparmorProfile: 'unconfined', selinuxLabel: '' }, machine)).toEqual({});
    // It lets in, and keeps nothing out: crun leaves it out as well.
    expect(mountLabelOf({ mountLabel: fileLabel }, machine)).toBeUndefined();
  }
  expect(() => labelsOf({ ...process, selinuxLabel: label }, appArmor)).toThrow('selinux is not enabled');
  expect(() => labelsOf({ ...process, apparmorProfile: 'x' }, selinux)).toThrow('apparmor is not enabled');
});

test('where the host has the module it goes into the file that the module reads', () => {
  expect(labelsOf({ ...process, selinuxLabel: label }, selinux)).toEqual({ exec: label });
  expect(labelsOf({ ...process, apparmorProfile: 'x' }, appArmor)).toEqual({ exec: 'exec x' });
  expect(labelsOf({ ...process, apparmorProfile: 'x' }, newerAppArmor)).toEqual({ 'apparmor/exec': 'exec x' });
  expect(mountLabelOf({ mountLabel: fileLabel }, selinux)).toBe(fileLabel);
  expect(mountLabelOf({}, selinux)).toBeUndefined();
});

const common = {
  stdin: true,
  seccomp: Uint8Array.of(6, 0, 0, 0, 0, 0, 255, 127),
  lenientRlimit: () => false,
};

function created(labels: Record<string, string>, mountLabel?: string): readonly Operation[] {
  const { program } = compileCreate({
    ...common,
    spec: {
      ociVersion: '1.2.0',
      process,
      mounts: [...defaultMounts(1 << 20), { destination: '/own', type: 'tmpfs', options: ['context=own'] }],
      linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }] },
    },
    root: { kind: 'directory', path: '/root' },
    joinNetns: false,
    intoCgroup: false,
    init: false,
    exists: () => false,
    handover: {
      ...{ console: false, preserved: 0, stopWhenMounted: false, bindDevices: false, noPivot: undefined },
      ...{ keyring: undefined, idmaps: new Map(), userNamespace: false, labels, mountLabel },
    },
  });
  return program.operations;
}

function indexOf(operations: readonly Operation[], matches: (text: string) => boolean): number {
  const found = operations.findIndex((operation) => matches(`${operation.title} ${renderCall(operation)}`));
  expect(found).toBeGreaterThanOrEqual(0);
  return found;
}

test('a first process writes it through the own proc, when nothing of it is set up any more, and before the filter', () => {
  const operations = created({ exec: label });
  const written = indexOf(operations, (text) => text.startsWith(`label ${JSON.stringify(label)} in exec`));
  expect(written).toBeGreaterThan(indexOf(operations, (text) => text.includes('pivot_root')));
  expect(written).toBeLessThan(indexOf(operations, (text) => text.includes('seccomp(')));
  expect(written).toBeLessThan(indexOf(operations, (text) => text.includes('execve')));
  expect(created({}).some(({ title }) => title.startsWith('label '))).toBe(false);
});

test('a command of exec writes it to the proc of the host, before it joins a container that could have another', () => {
  const { operations } = compileUnattendedExec({
    ...common,
    process,
    namespaces: ['mount', 'pid'],
    pidLast: false,
    intoCgroup: false,
    target: 'inherited',
    sync: true,
    unattended: { console: false, preserved: 0, seccompFlags: 0, labels: { exec: label } },
  });
  const opened = indexOf(operations, (text) => text.includes('/proc/self/attr/exec'));
  const written = indexOf(operations, (text) => text.startsWith(`label ${JSON.stringify(label)}`));
  expect(written).toBe(opened + 1);
  expect(written).toBeLessThan(indexOf(operations, (text) => text.startsWith('enter the namespaces')));
});

test('new filesystems get the label of their files, but for those that have labels of their own', () => {
  const labelled = created({}, fileLabel)
    .filter(({ call, title }) => call === 'fsconfig' && title.includes('context='))
    .map(({ title }) => title.replace(': ', ' ').replace(/ for (\S+)/, ' $1'));
  expect(labelled.sort()).toEqual([
    `devpts /dev/pts context=${fileLabel}`,
    `tmpfs /dev context=${fileLabel}`,
    `tmpfs /dev/shm context=${fileLabel}`,
    'tmpfs /own context=own',
  ]);
});
