/**
 * The start program alone, without JavaScript around it: `tsrun-monitor run` with a program that was compiled before,
 * against the small runtimes on the same root filesystem, each running /bin/true behind all its walls. bubblewrap has
 * the fewest of them: no capabilities, device nodes, masked paths or seccomp.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout, layoutDirectory } from '../scripts/images/paths.ts';
import { availableCapabilities, containerCapabilities } from '../src/linux/capabilities.ts';
import { syscall } from '../src/linux/ffi.ts';
import { architecture } from '../src/linux/syscalls.ts';
import { encodeProgram } from '../src/program/encode.ts';
import { compileStart } from '../src/runtime/compile/start.ts';
import { defaultMounts, maskedPaths, readonlyPaths } from '../src/runtime/defaults.ts';
import { compileSeccomp, defaultSeccompProfile } from '../src/runtime/seccomp/index.ts';
import type { Spec } from '../src/runtime/spec.ts';
import { type Comparison, type Contestant, interleave, output, time } from './harness.ts';
import { removeTree } from './peers.ts';

/** The root filesystem of library/busybox, unpacked by tar. */
export function unpackBusybox(directory: string): string {
  const rootfs = join(directory, 'rootfs');
  mkdirSync(rootfs, { recursive: true });
  const layout = layoutDirectory('busybox');
  const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
  const index: { manifests: [{ digest: string }] } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  const manifest: { layers: { digest: string }[] } = JSON.parse(readFileSync(blob(index.manifests[0].digest), 'utf8'));
  for (const layer of manifest.layers) execFileSync('tar', ['-xzf', blob(layer.digest), '-C', rootfs]);
  return rootfs;
}

/** A complete container of docker's defaults around /bin/true. */
function specOf(capabilities: string[]): Spec {
  return {
    ociVersion: '1.2.0',
    hostname: 'bench',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['/bin/true'],
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    mounts: defaultMounts(64 << 20).filter((mount) => mount.type !== 'cgroup'),
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'network' },
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'cgroup' },
      ],
      maskedPaths: [...maskedPaths],
      readonlyPaths: [...readonlyPaths],
    },
  };
}

/** Compiles the program into a file and returns the contestant that runs it. */
function machine(directory: string, rootfs: string): Contestant {
  const capabilities = containerCapabilities({ available: availableCapabilities() });
  const start = compileStart({
    spec: specOf(capabilities),
    root: { kind: 'directory', path: rootfs },
    joinNetns: false,
    intoCgroup: false,
    stdin: false,
    init: false,
    seccomp: compileSeccomp(defaultSeccompProfile(capabilities), architecture),
    exists: existsSync,
    lenientRlimit: () => true,
  });
  const file = join(directory, 'program');
  writeFileSync(file, encodeProgram(start.build()));
  const executable = join(checkout, 'dist/tsrun-monitor');
  return {
    name: 'machine',
    run: () => {
      const program = openSync(file, 'r');
      // The socket on which the program tells its progress and waits: the permission to go on is in it already.
      const pair = Buffer.alloc(8);
      const [AF_UNIX, SOCK_SEQPACKET, SOCK_CLOEXEC] = [1, 5, 0o2000000];
      syscall('socketpair', AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
      const [ours, theirs] = [pair.readInt32LE(0), pair.readInt32LE(4)];
      syscall('write', ours, Buffer.from([0]), 1);
      try {
        return time([executable, 'run'], { descriptors: [program, theirs] });
      } finally {
        for (const fd of [program, ours, theirs]) closeSync(fd);
      }
    },
  };
}

/** The bundle that `COMMAND spec` proposes, with /bin/true and without a terminal. */
export function bundle(directory: string, runtime: string, rootfs: string): string {
  const path = join(directory, runtime);
  mkdirSync(path);
  output([runtime, 'spec'], { cwd: path });
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'));
  config.process.terminal = false;
  config.process.args = ['/bin/true'];
  config.root.path = rootfs;
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  return path;
}

export async function benchMachine(directory: string, rounds: number): Promise<Comparison[]> {
  mkdirSync(directory, { recursive: true });
  try {
    const rootfs = unpackBusybox(directory);
    const contestants: Contestant[] = [machine(directory, rootfs)];
    if (existsSync('/usr/bin/bwrap')) {
      const walls = ['--unshare-all', '--bind', rootfs, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/dev/shm'];
      contestants.push({ name: 'bubblewrap', run: () => time(['bwrap', ...walls, '/bin/true']) });
    }
    let id = 0;
    for (const [runtime, path] of [
      ['crun', '/usr/bin/crun'],
      ['runc', '/usr/sbin/runc'],
    ] as const) {
      if (!existsSync(path)) continue;
      const at = bundle(directory, runtime, rootfs);
      const root = join(directory, `${runtime}-state`);
      contestants.push({
        name: runtime,
        run: () => time([runtime, '--root', root, 'run', '--bundle', at, `bench${process.pid}-${id++}`]),
      });
    }
    contestants.push({ name: 'fork + exec', run: () => time(['/bin/true']) });
    return [
      {
        title: 'the start program alone: /bin/true in a complete container',
        unit: 'ms',
        ours: 'machine',
        samples: await interleave(contestants, rounds * 3),
        target: { peers: ['bubblewrap'], factor: 1 },
      },
    ];
  } finally {
    removeTree(directory);
  }
}
