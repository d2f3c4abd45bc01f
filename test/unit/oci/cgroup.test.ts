/** Where the cgroup of an OCI container is, and what of the resources that callers send by habit is left out. */
import { expect, test } from 'vitest';
import { cgroupPath, expandSlice, meaningful } from '../../../src/oci/cgroup.ts';

test('cgroupsPath is a path, or for --systemd-cgroup a slice, a prefix and a name', () => {
  expect(cgroupPath('box', undefined, 'cgroupfs')).toBe('/box');
  expect(cgroupPath('box', '/kubepods/pod/box', 'cgroupfs')).toBe('/kubepods/pod/box');
  expect(cgroupPath('box', 'docker/../box', 'cgroupfs')).toBe('/box');
  expect(cgroupPath('box', undefined, 'systemd')).toBe('/system.slice/tsrun-box.scope');
  expect(cgroupPath('box', 'kubepods-burstable-pod1.slice:cri-containerd:abc', 'systemd')).toBe(
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-abc.scope',
  );
  expect(cgroupPath('box', ':libpod:abc', 'systemd')).toBe('/system.slice/libpod-abc.scope');
  expect(cgroupPath('box', 'machine.slice::own.slice', 'systemd')).toBe('/machine.slice/own.slice');
  expect(() => cgroupPath('box', '/kubepods/pod', 'systemd')).toThrow('expected cgroupsPath to be of format');
});

test('a slice lies in those that its name begins with; what is no name of one is refused', () => {
  expect(expandSlice('-.slice')).toBe('');
  expect(expandSlice('a-b.slice')).toBe('a.slice/a-b.slice');
  for (const name of ['a', 'a--b.slice', '../x.slice', '.slice']) {
    expect(() => expandSlice(name), name).toThrow('invalid slice name');
  }
});

test('zeros and the usual values of cgroup v1 ask for nothing', () => {
  const usual = { memory: { swappiness: 60, kernel: 0 }, network: {}, cpu: { burst: 0, idle: 0 }, pids: { limit: 0 } };
  expect(meaningful(usual)).toEqual({ memory: {}, cpu: {} });
  expect(meaningful({ memory: { swappiness: 10 }, pids: { limit: 5 } })).toEqual({
    memory: { swappiness: 10 },
    pids: { limit: 5 },
  });
});
