import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultCapabilities } from '../../../../src/linux/capabilities.ts';
import {
  parseLinuxSeccomp,
  parseSeccompProfile,
  seccompFlags,
  seccompProfile,
} from '../../../../src/runtime/seccomp/index.ts';

const dockerStyle = JSON.stringify({
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 1,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
    { architecture: 'SCMP_ARCH_RISCV64', subArchitectures: null },
  ],
  syscalls: [
    { names: ['read'], action: 'SCMP_ACT_ALLOW' },
    { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
    { names: ['both'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } },
    { names: ['arch_prctl'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['amd64', 'x32'] } },
    { names: ['cacheflush'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['arm', 'arm64'] } },
    { names: ['ptrace'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '4.8' } },
    { names: ['old'], action: 'SCMP_ACT_ALLOW', excludes: { minKernel: '4.8' } },
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38, excludes: { caps: ['CAP_SYS_ADMIN'] } },
    {
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 2114060288, op: 'SCMP_CMP_MASKED_EQ' }],
      comment: 's390 differs',
      includes: {},
      excludes: { caps: ['CAP_SYS_ADMIN'], arches: ['s390', 's390x'] },
    },
    { name: 'single', action: 'SCMP_ACT_LOG', args: null },
  ],
});

function names(options: Parameters<typeof parseSeccompProfile>[1]): string[] {
  return parseSeccompProfile(dockerStyle, options)?.syscalls?.flatMap((entry) => entry.names) ?? [];
}

test("Docker's conditions decide which entries a container gets", () => {
  const base = { capabilities: defaultCapabilities, kernel: '6.1.0-13-amd64' };
  expect(names({ ...base, architecture: 'x64' })).toEqual([
    'read',
    'arch_prctl',
    'ptrace',
    'clone3',
    'clone',
    'single',
  ]);
  expect(names({ ...base, architecture: 'arm64' })).toEqual([
    'read',
    'cacheflush',
    'ptrace',
    'clone3',
    'clone',
    'single',
  ]);
  expect(names({ ...base, architecture: 'x64', capabilities: [...defaultCapabilities, 'CAP_SYS_ADMIN'] })).toEqual([
    'read',
    'mount',
    'both',
    'arch_prctl',
    'ptrace',
    'single',
  ]);
  expect(names({ ...base, architecture: 'x64', kernel: '4.7.9' })).toContain('old');
  expect(names({ ...base, architecture: 'x64', kernel: '4.7.9' })).not.toContain('ptrace');
  expect(names({ ...base, architecture: 'x64', kernel: '4.10.0' })).toContain('ptrace');
});

test('the result is a plain OCI profile', () => {
  const profile = parseSeccompProfile(dockerStyle, { capabilities: [], architecture: 'x64', kernel: '6.1' });
  expect(profile).toMatchObject({
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  });
  expect(profile?.syscalls?.find((entry) => entry.names[0] === 'clone')).toEqual({
    names: ['clone'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: 2114060288, op: 'SCMP_CMP_MASKED_EQ' }],
  });
  expect(profile).not.toHaveProperty('archMap');
});

test('a profile without default action and entries is no filter', () => {
  expect(parseSeccompProfile('{}', { capabilities: [] })).toBeUndefined();
});

test('values of 64 bits are exact', () => {
  const entry = { names: ['read'], action: 'SCMP_ACT_ALLOW', args: [{ index: 1, value: 0, op: 'SCMP_CMP_EQ' }] };
  const text = JSON.stringify({ defaultAction: 'SCMP_ACT_LOG', syscalls: [entry] }).replace(
    '"value":0',
    '"value":18446744073709551615',
  );
  expect(parseSeccompProfile(text, { capabilities: [] })?.syscalls?.[0]?.args?.[0]?.value).toBe(18446744073709551615n);
});

test.each<[string, RegExp]>([
  ['{', /decoding seccomp profile failed/],
  ['[]', /the profile must be an object/],
  ['{"syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW"}]}', /defaultAction is undefined/],
  ['{"defaultAction":"ALLOW"}', /defaultAction is "ALLOW"; it must be one of SCMP_ACT_KILL/],
  ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}', /syscalls must be a list/],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[1],"action":"SCMP_ACT_LOG"}]}',
    /syscalls\[0\]\.names\[0\] must be a string/,
  ],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"name":"b","action":"SCMP_ACT_LOG"}]}',
    /exclude each other/,
  ],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}',
    /exclude each other/,
  ],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}',
    /arguments 0 to 5/,
  ],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}]}]}',
    /64 bits without sign/,
  ],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":1,"op":"=="}]}]}',
    /op is "=="/,
  ],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","includes":{"minKernel":"new"}}]}',
    /must look like "4.8"/,
  ],
])('%s is refused with the place of what is wrong', (text, message) => {
  expect(() => parseSeccompProfile(text, { capabilities: [], kernel: '6.1' })).toThrow(message);
});

test('linux.seccomp of a configuration keeps all its fields', () => {
  const seccomp = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_AARCH64'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    listenerPath: '/run/listener',
    listenerMetadata: 'who',
    syscalls: [
      {
        names: ['read'],
        action: 'SCMP_ACT_NOTIFY',
        args: [{ index: 0, value: 1, valueTwo: 2, op: 'SCMP_CMP_MASKED_EQ' }],
      },
    ],
  };
  expect(parseLinuxSeccomp(seccomp)).toEqual(seccomp);
});

test('flags become the bits of seccomp(2)', () => {
  expect(seccompFlags({ defaultAction: 'SCMP_ACT_ALLOW' })).toBe(4);
  expect(seccompFlags({ defaultAction: 'SCMP_ACT_ALLOW', flags: [] })).toBe(0);
  const flags = ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC'];
  expect(
    seccompFlags({
      defaultAction: 'SCMP_ACT_ALLOW',
      flags,
      syscalls: [{ names: ['mount'], action: 'SCMP_ACT_NOTIFY' }],
    }),
  ).toBe(11);
  expect(() => seccompFlags({ defaultAction: 'SCMP_ACT_ALLOW', flags: ['toString'] })).toThrow(
    /unknown flag "toString"/,
  );
});

test('the option of the command line names a file, or none, or the default', () => {
  expect(seccompProfile('unconfined', [])).toBeUndefined();
  expect(seccompProfile('builtin', defaultCapabilities)).toEqual(seccompProfile(undefined, defaultCapabilities));
  expect(() => seccompProfile('/no/such.json', [])).toThrow(
    /opening seccomp profile \(\/no\/such.json\) failed: ENOENT/,
  );
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-profile-'));
  try {
    const path = join(directory, 'profile.json');
    writeFileSync(path, '{"defaultAction":"SCMP_ACT_ALLOW"}');
    expect(seccompProfile(path, [])).toMatchObject({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
