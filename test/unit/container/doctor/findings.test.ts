import { describe, expect, test } from 'vitest';
import { clockFinding } from '../../../../src/container/doctor/clock.ts';
import { findings } from '../../../../src/container/doctor/finding.ts';
import { memfdFinding, versionFinding } from '../../../../src/container/doctor/kernel.ts';
import { descriptorFinding } from '../../../../src/container/doctor/limits.ts';
import { resolverFinding } from '../../../../src/container/doctor/network.ts';
import { filesystemFinding, mountOf, spaceFinding } from '../../../../src/container/doctor/storage.ts';

test.each([
  ['4.19.0-27-amd64', 'problem'],
  ['5.13.0', 'problem'],
  ['5.15.0-100-generic', 'warning'],
  ['6.1.0-18-amd64', 'ok'],
  ['6.18.44', 'ok'],
  ['10.0.1', 'ok'],
])('Linux %s: %s', (release, verdict) => {
  expect(versionFinding(release).verdict).toBe(verdict);
});

test('memfds that may not be executed', () => {
  expect(memfdFinding('2')).toMatchObject({ verdict: 'problem', remedy: 'sysctl -w vm.memfd_noexec=1' });
  for (const value of ['0', '1', undefined]) expect(memfdFinding(value).verdict).toBe('ok');
});

describe('storage', () => {
  const mountinfo = [
    '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '30 22 0:40 / /var rw,noexec - xfs /dev/vdb rw',
    '31 30 0:41 / /var/lib\\040x rw,nosuid - btrfs /dev/vdc rw',
    '32 22 0:42 / /run rw - tmpfs tmpfs rw',
    '33 22 0:43 / /ro rw - ext4 /dev/vdd ro',
    '34 22 0:44 / /over rw - overlay overlay rw',
  ].join('\n');

  test.each([
    ['/home/x', '/', 'ok', ''],
    ['/various', '/', 'ok', ''],
    ['/var/lib', '/var', 'problem', 'mount -o remount,exec /var'],
    ['/var/lib x/y', '/var/lib x', 'warning', 'mount -o remount,suid /var/lib x'],
    ['/run/r', '/run', 'warning', 'set TSRUN_ROOT'],
    ['/ro', '/ro', 'problem', 'set TSRUN_ROOT'],
    ['/over/a', '/over', 'problem', 'set TSRUN_ROOT'],
  ])('%s', (path, mountPoint, verdict, remedy) => {
    const mount = mountOf(path, mountinfo);
    expect(mount.mountPoint).toBe(mountPoint);
    const finding = filesystemFinding(path, mount);
    expect(finding.verdict).toBe(verdict);
    expect(finding.remedy ?? '').toContain(remedy);
  });

  test('room', () => {
    expect(spaceFinding(2e9, 1e12)).toMatchObject({ verdict: 'ok', detail: '2 GB of 1 TB' });
    expect(spaceFinding(5e8, 1e12).verdict).toBe('warning');
    expect(spaceFinding(0, 1e12).verdict).toBe('problem');
  });
});

test('limits of descriptors', () => {
  const line = (soft: string): string =>
    `Max open files            ${soft}                 524288               files     \n`;
  expect(descriptorFinding(line('256'))).toMatchObject({ verdict: 'warning', detail: '256, at most 524288' });
  expect(descriptorFinding(line('1024')).verdict).toBe('ok');
  expect(descriptorFinding(line('unlimited')).verdict).toBe('ok');
});

test('name servers that a container reaches', () => {
  expect(resolverFinding(['127.0.0.53', '9.9.9.9'])).toMatchObject({ verdict: 'ok', detail: '9.9.9.9' });
  expect(resolverFinding(['127.0.0.53', '::1']).verdict).toBe('warning');
  expect(resolverFinding([])).toMatchObject({ verdict: 'warning', detail: '/etc/resolv.conf names none' });
});

test('a clock that is behind', () => {
  const built = new Date('2026-11-01T00:00:00Z');
  expect(clockFinding(new Date('1970-01-02T00:00:00Z'), built, 0).verdict).toBe('problem');
  expect(clockFinding(new Date('2026-11-02T00:00:00Z'), built, 5)).toMatchObject({
    verdict: 'ok',
    detail: '2026-11-02T00:00:00.000Z, not synchronised',
  });
});

test('a check that fails has not looked', () => {
  const check = {
    area: 'storage',
    run: () => {
      throw new Error('boom');
    },
  };
  expect(findings(check)).toMatchObject([{ area: 'storage', verdict: 'unknown', detail: 'boom' }]);
});
