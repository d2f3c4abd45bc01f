import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { AT_FDCWD, openat } from '../linux/fs.ts';
export function findCgroup2(): { mountPoint: string; ownPath: string } | undefined {
  return { mountPoint: '/sys/fs/cgroup/unified', ownPath: '/' };
}
export function createCgroup(id: string, _r: object): { path: string; fd: number } {
  const path = `/sys/fs/cgroup/unified/tsrun/${id}`;
  mkdirSync(path, { recursive: true });
  return { path, fd: openat(AT_FDCWD, path, 0o200000) };
}
export function killCgroup(path: string): void {
  try {
    writeFileSync(`${path}/cgroup.kill`, '1');
  } catch {}
}
export function removeCgroup(path: string): void {
  for (let i = 0; i < 100; i++) {
    try {
      rmdirSync(path);
      return;
    } catch (e) {
      if ((e as { code?: string }).code === 'ENOENT') return;
      try {
        readFileSync('/proc/self/stat');
      } catch {}
    }
  }
}
