/** Bundles of busybox, and tsrun-oci called as conmon or a shim would call it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import type { Process, Spec, State } from '../../src/runtime/spec.ts';
import { environment, type Result, type RunOptions, run, tsrunOk } from './tsrun.ts';

export const ociPath = join(checkout, 'bin/tsrun-oci');

/** A place for bundles and for the state of their containers; nothing of it is left after `dispose`. */
export class OciWorld {
  readonly directory: string;
  readonly #ids = new Set<string>();

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<OciWorld> {
    const world = new OciWorld(mkdtempSync('/var/tmp/tsrun-oci.'));
    const archive = join(world.directory, 'busybox.tar');
    await tsrunOk(['pull', '-q', 'busybox']);
    const id = await tsrunOk(['create', 'busybox']);
    await tsrunOk(['export', '-o', archive, id]);
    await tsrunOk(['rm', id]);
    return world;
  }

  get root(): string {
    return join(this.directory, 'state');
  }

  /** Unpacks busybox to `path`. */
  unpack(path: string): void {
    mkdirSync(path, { recursive: true });
    execFileSync('tar', ['-xf', join(this.directory, 'busybox.tar'), '-C', path]);
  }

  /** Makes a bundle that runs `script`; `change` may do anything to its configuration. */
  bundle(id: string, script: string, change: (spec: FullSpec) => void = () => {}): string {
    const path = join(this.directory, `bundle-${id}`);
    if (!existsSync(join(path, 'rootfs'))) this.unpack(join(path, 'rootfs'));
    const spec = example(id, script);
    change(spec);
    writeFileSync(join(path, 'config.json'), JSON.stringify(spec));
    return path;
  }

  /** `tsrun-oci ARGS…` with the state of this world. Containers are remembered, to be deleted in the end. */
  oci(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run(ociPath, ['--root', this.root, ...args], options);
  }

  /** As `oci`; throws when it fails. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.oci(args, options);
    if (result.code !== 0) throw new Error(`tsrun-oci ${args.join(' ')}: exit ${result.code}\n${result.stderr}`);
    return result.stdout;
  }

  /** As `ok`, for what leaves a process behind that keeps stdout open. */
  async detached(args: readonly string[]): Promise<void> {
    const quoted = [ociPath, '--root', this.root, ...args].map((word) => `'${word}'`).join(' ');
    const path = join(this.directory, 'detached');
    const { code } = await run('sh', ['-c', `${quoted} >'${path}' 2>&1`]);
    if (code !== 0) throw new Error(`tsrun-oci ${args.join(' ')}: exit ${code}\n${readFileSync(path, 'utf8')}`);
  }

  /**
   * `create` and then `start`, or `exec --detach`, with a console socket: what came out of the terminal, and what the command
   * wrote to stderr. `words` end with the container's id and what follows it.
   */
  withConsole(flags: readonly string[], words: readonly string[]): Promise<Result> {
    if (flags[0] === 'create') this.#ids.add(words[0] ?? '');
    const socket = join(mkdtempSync(join(this.directory, 'console.')), 'socket');
    const command = [ociPath, '--root', this.root, ...flags, '--console-socket', socket, ...words];
    return run('python3', ['-c', consoleScript, socket, ...command]);
  }

  /** `run` in the foreground: what the container printed, and its exit status. */
  run(id: string, script: string, change?: (spec: FullSpec) => void): Promise<Result> {
    const bundle = this.bundle(id, script, change);
    this.#ids.add(id);
    return this.oci(['run', '--bundle', bundle, id]);
  }

  /** `create` with stdout and stderr in a file, since a container outlives the command. */
  async create(id: string, script: string, change?: (spec: FullSpec) => void, flags: string[] = []): Promise<Result> {
    const bundle = this.bundle(id, script, change);
    this.#ids.add(id);
    const command = [ociPath, '--root', this.root, 'create', '--bundle', bundle, ...flags, id];
    const quoted = command.map((word) => `'${word}'`).join(' ');
    const result = await run('sh', ['-c', `${quoted} >'${this.output(id)}' 2>&1`]);
    return { ...result, stderr: this.read(id) };
  }

  async createOk(...args: Parameters<OciWorld['create']>): Promise<void> {
    const result = await this.create(...args);
    if (result.code !== 0) throw new Error(`create ${args[0]}: exit ${result.code}\n${result.stderr}`);
  }

  output(id: string): string {
    return join(this.directory, `output-${id}`);
  }

  /** What a container of `create` has printed. */
  read(id: string): string {
    return readFileSync(this.output(id), 'utf8');
  }

  async state(id: string): Promise<State & { status: string }> {
    return JSON.parse(await this.ok(['state', id]));
  }

  async waitFor(id: string, status: string): Promise<void> {
    await expect.poll(async () => (await this.state(id)).status, { timeout: 15_000, interval: 100 }).toBe(status);
  }

  async delete(id: string): Promise<void> {
    await this.ok(['delete', '--force', id]);
  }

  /** Deletes what tests have made; for `afterEach`. */
  async clear(): Promise<void> {
    for (const id of this.#ids) await this.delete(id);
    this.#ids.clear();
  }

  async dispose(): Promise<void> {
    await this.clear();
    // A process that has just been killed may be writing its last.
    await delay(0);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Gives a test file its world, made before its tests and cleared after each; `needed` is false where they have nothing to do. */
export function useOciWorld(take: (world: OciWorld) => void, needed = true): void {
  let world: OciWorld | undefined;
  beforeAll(async () => {
    if (!needed) return;
    world = await OciWorld.make();
    take(world);
  });
  afterEach(async () => {
    await world?.clear();
    removeCgroupParent();
  });
  afterAll(() => world?.dispose());
}

/** Listens at the path that is its first argument, runs the others, and prints what the terminal that comes says. */
const consoleScript = [
  'import array, os, socket, subprocess, sys',
  'path, command = sys.argv[1], sys.argv[2:]',
  'server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(1); server.settimeout(0.05)',
  'child = subprocess.Popen(command)',
  'connection = None',
  'while connection is None and child.poll() is None:',
  '  try: connection, _ = server.accept()',
  '  except TimeoutError: pass',
  'ancillary = connection.recvmsg(4096, 64)[1] if connection else []',
  'if child.wait() != 0 or not ancillary: sys.exit(child.returncode)',
  'master = array.array("i", ancillary[0][2])[0]',
  'if "create" in command: subprocess.run(command[:3] + ["start", command[-1]], check=True)',
  'text = b""',
  'try:',
  '  while True: text += os.read(master, 4096)',
  'except OSError: pass',
  'sys.stdout.write(text.decode())',
].join('\n');

/** A configuration whose optional parts are there, for tests to change. */
export interface FullSpec extends Spec {
  process: Process;
  mounts: NonNullable<Spec['mounts']>;
  linux: NonNullable<Spec['linux']> & { namespaces: NonNullable<NonNullable<Spec['linux']>['namespaces']> };
}

function example(id: string, script: string): FullSpec {
  const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE'];
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['sh', '-c', script],
      env: ['PATH=/bin:/usr/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    hostname: 'box',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    ],
    linux: {
      cgroupsPath: `/tsrun-oci-test/${id}`,
      namespaces: [
        { type: 'pid' },
        { type: 'network' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'cgroup' },
      ],
      maskedPaths: ['/proc/interrupts', '/sys/firmware'],
      readonlyPaths: ['/proc/sys'],
    },
  };
}

/** Runs a command with further descriptors from 3 on that read `contents`. */
export async function withDescriptors(contents: readonly string[], command: readonly string[]): Promise<Result> {
  const paths = contents.map((content, index) => {
    const path = join(mkdtempSync('/var/tmp/tsrun-fd.'), String(index));
    writeFileSync(path, content);
    return path;
  });
  const redirects = paths.map((path, index) => `${3 + index}<'${path}'`).join(' ');
  try {
    return await run('bash', ['-c', `exec "$@" ${redirects}`, 'bash', ...command], { env: environment() });
  } finally {
    for (const path of paths) rmSync(join(path, '..'), { recursive: true });
  }
}

/** The directories of cgroups that the bundles of these tests name, in all hierarchies. A cgroup may be busy for a moment after its last process. */
export function removeCgroupParent(name = 'tsrun-oci-test'): void {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    if (!/ - cgroup2? /.test(line)) continue;
    const path = join(line.split(' ')[4] ?? '', name);
    const remove =
      'for i in $(seq 50); do [ ! -e "$0" ] || find "$0" -depth -type d -exec rmdir {} + && exit; sleep 0.1; done; exit 1';
    if (existsSync(path)) execFileSync('sh', ['-c', remove, path]);
  }
}
