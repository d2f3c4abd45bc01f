/** Which settings of the kernel may be a container's. */
import { expect, test } from 'vitest';
import { checkSysctl, sysctlPath } from '../../../src/runtime/compile/sysctl.ts';
import type { LinuxNamespace } from '../../../src/runtime/spec.ts';

const own = { linux: { namespaces: (['network', 'ipc', 'uts'] as const).map((type) => ({ type })) } };

test.each([
  'net.ipv4.ip_forward',
  'net/ipv4/conf/eth0.1/forwarding',
  'fs.mqueue.queues_max',
  'kernel.shmmax',
  'kernel.domainname',
])('%s is', (name) => {
  expect(() => checkSysctl(name, own)).not.toThrow();
  expect(() => checkSysctl(name, { linux: { namespaces: [] } })).toThrow(/not allowed in (host|the hosts)/);
});

test.each([
  'vm.swappiness',
  'kernel.core_pattern',
  'net',
  'kernel.shmmax.x',
  'net/../kernel/core_pattern',
  'net/./x',
  '',
])('%j is not', (name) => expect(() => checkSysctl(name, own)).toThrow('is not in a separate kernel namespace'));

test('kernel.hostname is not: a bundle has a field for it', () => {
  expect(() => checkSysctl('kernel.hostname', own)).toThrow('conflicts with the OCI "hostname" field');
});

test('a namespace that is joined is its own unless it is the one of this process', () => {
  const joining = (path: string): { linux: { namespaces: LinuxNamespace[] } } => ({
    linux: { namespaces: [{ type: 'network', path }] },
  });
  expect(() => checkSysctl('net.a.b', joining('/proc/self/ns/net'))).toThrow('host network namespace');
  expect(() => checkSysctl('net.a.b', joining('/proc/self/ns/uts'))).not.toThrow();
  expect(() => checkSysctl('net.a.b', joining('/does/not/exist'))).not.toThrow();
  expect(sysctlPath('net.ipv4.ip_forward')).toBe('net/ipv4/ip_forward');
});
