import { expect, test } from 'vitest';
import {
  AT_FDCWD,
  MS_PRIVATE,
  MS_REC,
  O_CLOEXEC,
  O_PATH,
  PR_CAPBSET_DROP,
  RESOLVE_IN_ROOT,
  S_IFCHR,
} from '../../../src/linux/constants.ts';
import { type Operation, ProgramBuilder } from '../../../src/program/program.ts';
import { straceCall } from '../../../src/program/strace.ts';
import { deviceNumber } from '../../../src/runtime/compile/devices.ts';

/** The one call that `add` makes, in strace's words. */
function rendered(add: (b: ProgramBuilder) => void): string {
  const b = new ProgramBuilder();
  add(b);
  const program = b.build({ errorFd: -1 });
  return straceCall(program.operations[0] as Operation, program);
}

test('flags have their names, null pointers and the directory that one stands in theirs', () => {
  const call = rendered((b) => b.call('mount', [0, b.text('/'), 0, MS_REC | MS_PRIVATE, 0], { title: 't' }));
  expect(call).toBe('mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL)');
  expect(rendered((b) => b.call('openat', [AT_FDCWD, b.text('a\n"'), O_CLOEXEC, 0], { title: 't' }))).toBe(
    'openat(AT_FDCWD, "a\\n\\"", O_RDONLY|O_CLOEXEC)',
  );
});

test('structs are looked into, and what is known only later stands in angle brackets', () => {
  const call = rendered((b) => {
    const how = Buffer.alloc(24);
    how.writeBigUInt64LE(BigInt(O_PATH), 0);
    how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT), 16);
    b.call('openat2', [b.slot('root mount'), b.text('proc'), b.bytes(how, 'struct open_how'), 24], { title: 't' });
  });
  expect(call).toBe('openat2(<root mount>, "proc", {flags=O_RDONLY|O_PATH, resolve=RESOLVE_IN_ROOT}, 24)');
});

test('devices, capabilities and modes read as people write them', () => {
  const node = rendered((b) =>
    b.call('mknodat', [7, b.text('sda'), S_IFCHR | 0o666, deviceNumber(8, 300)], { title: 't' }),
  );
  expect(node).toBe('mknodat(7, "sda", S_IFCHR|0666, makedev(0x8, 0x12c))');
  expect(rendered((b) => b.call('prctl', [PR_CAPBSET_DROP, 21, 0, 0, 0], { title: 't' }))).toBe(
    'prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)',
  );
  expect(rendered((b) => b.call('umask', [0o22], { title: 't' }))).toBe('umask(022)');
  expect(rendered((b) => b.call('umask', [0], { title: 't' }))).toBe('umask(000)');
});

test('argv is shown as it is, of the environment only how much there is', () => {
  const call = rendered((b) => {
    const argv = b.pointers([b.text('sh'), b.text('-c')], 'argv');
    b.call('execve', [b.text('/bin/sh'), argv, b.pointers([b.text('A=1')], 'envp')], { title: 't' });
  });
  expect(call).toBe('execve("/bin/sh", ["sh", "-c"], {envp} /* 1 var */)');
});
