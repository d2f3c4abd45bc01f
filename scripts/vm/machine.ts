/**
 * Boots the guest that scripts/vm/build.sh makes, runs one shell script in it as root, and brings back what that left in
 * /results. QEMU ends with the call, whatever happens, and with this process.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { checkout } from '../images/paths.ts';

/** `plain` has an init of its own, test/vm/guest/init.sh; `systemd` boots as a user's Debian does. */
export type Profile = 'plain' | 'systemd';

export interface GuestRun {
  profile: Profile;
  /** For bash, in /tsrun, as root; with systemd it runs once for each boot. */
  script: string;
  /** After so many milliseconds QEMU is killed. */
  milliseconds: number;
  /** So many milliseconds a boot may take, five minutes unless told: one of an idle machine takes 5 to 15 seconds. */
  bootMilliseconds?: number;
}

export interface GuestResult {
  /** The script's exit status; undefined when the guest did not tell one. */
  status: number | undefined;
  /** Directory with what the guest wrote below /results. */
  results: string;
  /** File with all that the serial console showed. */
  console: string;
  /** Why the guest did not come to its end, or undefined. */
  failure: string | undefined;
  /** Why a first attempt was given up, where this is the second. */
  earlier: string | undefined;
  /** From the start of QEMU to its end. */
  seconds: number;
  /** Removes both, and what else belonged to the guest. */
  remove: () => void;
}

const megabyte = 1 << 20;

/**
 * `kvm` where the processor's own virtualization can be used. A /dev/kvm without it (nested machines that run only
 * kernels made for them) would interpret every instruction, slower than QEMU's translator does.
 */
export function accelerator(): 'kvm' | 'tcg' {
  if (process.env.TSRUN_VM_ACCEL === 'kvm' || process.env.TSRUN_VM_ACCEL === 'tcg') return process.env.TSRUN_VM_ACCEL;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return /^flags\b.*\b(vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8')) ? 'kvm' : 'tcg';
  } catch {
    return 'tcg';
  }
}

/** The files of the checkout that the guest needs: tracked ones, new ones, and dist/. */
function copyCheckout(target: string): void {
  // The guest has no compiler.
  execFileSync('node', [join(checkout, 'scripts/build.mjs'), '--if-stale'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const listed = execFileSync('git', ['-c', `safe.directory=${checkout}`, 'ls-files', '-zco', '--exclude-standard'], {
    cwd: checkout,
    encoding: 'utf8',
  });
  for (const path of listed.split('\0')) {
    const source = join(checkout, path);
    if (path === '' || !existsSync(source)) continue;
    const copy = join(target, path);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(source, copy);
    // Older than dist/, for scripts/build.mjs.
    utimesSync(copy, 1, 1);
  }
  // What a program is being made in comes and goes.
  const isOutput = (path: string): boolean => !/^(scripts$|executable\.)|\.\d+$/.test(basename(path));
  cpSync(join(checkout, 'dist'), join(target, 'dist'), { recursive: true, filter: isOutput });
  mkdirSync(join(target, 'node_modules'), { recursive: true });
}

/** What build.sh printed: `kernel`, `initrd`, `root`, `tools`. It takes minutes where nothing is cached. */
async function build(): Promise<Map<string, string>> {
  const built = promisify(execFile)('bash', [join(checkout, 'scripts/vm/build.sh')]);
  built.child.stderr?.pipe(process.stderr);
  const { stdout } = await built;
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/**
 * Makes the disks of this run, boots, waits for the end. What ended before the script began, and what QEMU itself ended with
 * (a signal, a panic of the kernel), is tried a second time. Never throws for what happens inside.
 */
export async function runGuest(run: GuestRun): Promise<GuestResult> {
  const built = await build();
  const first = await runOnce(run, built);
  if (first.failure === undefined || !first.again) return { ...first, earlier: undefined };
  console.error(`the guest (${run.profile}) is booted a second time: ${first.failure}`);
  first.remove();
  return { ...(await runOnce(run, built)), earlier: first.failure };
}

/** `again`: the failure says nothing about what ran in the guest. */
async function runOnce(
  { profile, script, milliseconds, bootMilliseconds = 300_000 }: GuestRun,
  built: ReadonlyMap<string, string>,
): Promise<Omit<GuestResult, 'earlier'> & { again: boolean }> {
  const directory = mkdtempSync(join(process.env.TSRUN_TEST_DIRECTORY || '/var/tmp', 'tsrun-vm.'));
  const file = (name: string): string => join(directory, name);
  const staged = file('checkout');
  copyCheckout(staged);
  writeFileSync(join(staged, 'guest-script'), script);
  execFileSync('mkfs.ext4', [
    ...['-q', '-F', '-O', '^has_journal', '-m', '0', '-E', 'lazy_itable_init=1,root_owner=0:0'],
    ...['-L', 'tsrun-checkout', '-d', staged, file('checkout.img'), '256M'],
  ]);
  rmSync(staged, { recursive: true });
  const empty = { swap: 512 * megabyte, io: 256 * megabyte, results: 64 * megabyte };
  for (const [name, size] of Object.entries(empty)) {
    writeFileSync(file(`${name}.img`), '');
    truncateSync(file(`${name}.img`), size);
  }
  const disks = [
    { serial: 'root', path: built.get('root') ?? '', options: 'snapshot=on,cache=unsafe' },
    { serial: 'tools', path: built.get('tools') ?? '', options: 'snapshot=on,cache=unsafe' },
    { serial: 'checkout', path: file('checkout.img'), options: 'cache=unsafe' },
    ...Object.keys(empty).map((name) => ({ serial: name, path: file(`${name}.img`), options: 'cache=unsafe' })),
  ];
  const init = profile === 'plain' ? '/tsrun/test/vm/guest/init.sh' : '/sbin/init';
  const args = [
    ...['-accel', ...(accelerator() === 'kvm' ? ['kvm', '-accel', 'tcg'] : ['tcg,thread=multi,tb-size=512'])],
    ...[
      '-cpu',
      'max',
      '-smp',
      '2',
      '-m',
      profile === 'plain' ? '2048' : '1024',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
    ],
    ...['-serial', `file:${file('console')}`, '-device', 'virtio-rng-pci'],
    ...['-kernel', built.get('kernel') ?? '', '-initrd', built.get('initrd') ?? ''],
    '-append',
    // Mitigations cost an emulated processor much, and there is nobody to protect from. On a loaded machine the test of the
    // timer may fail, which ends the boot.
    `console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr no_timer_check nowatchdog net.ifnames=0 systemd.mask=serial-getty@ttyS0.service tsrun.init=${init}`,
    ...(profile === 'plain' ? ['-no-reboot'] : []),
    ...disks.flatMap(({ serial, path, options }) => [
      ...['-drive', `if=none,id=${serial},format=raw,file=${path},${options}`],
      ...['-device', `virtio-blk-pci,drive=${serial},serial=${serial}`],
    ]),
  ];
  const started = performance.now();
  const ended = await watch(args, { serial: file('console'), log: file('qemu.log'), milliseconds, bootMilliseconds });
  const seconds = (performance.now() - started) / 1000;
  const results = file('results');
  mkdirSync(results);
  try {
    execFileSync('tar', ['-xf', file('results.img'), '-C', results], { stdio: 'ignore' });
  } catch {
    // The guest wrote none.
  }
  const status = existsSync(join(results, 'status'))
    ? Number(readFileSync(join(results, 'status'), 'utf8'))
    : undefined;
  for (const { path } of disks) if (path.startsWith(directory)) rmSync(path);
  return {
    status,
    results,
    console: file('console'),
    failure: ended.failure ?? (status === undefined ? 'the guest ended without results' : undefined),
    again: ended.again || (ended.failure === undefined && status === undefined),
    seconds,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** What test/vm/guest/machine.sh writes to the console before it runs the script. */
const scriptBegins = 'the guest is up';

interface Watch {
  serial: string;
  log: string;
  milliseconds: number;
  bootMilliseconds: number;
}

interface Ended {
  /** Why it did not come to a good end. */
  failure: string | undefined;
  again: boolean;
}

/** Runs QEMU to its end. */
function watch(args: string[], { serial, log, milliseconds, bootMilliseconds }: Watch): Promise<Ended> {
  return new Promise((resolve) => {
    // The kernel kills it when this process ends, however it does.
    const qemu = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = performance.now();
    let output = '';
    let end: Ended | undefined;
    for (const stream of [qemu.stdout, qemu.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    const kill = (failure: string, again: boolean): void => {
      end ??= { failure, again };
      qemu.kill('SIGKILL');
    };
    const look = setInterval(() => {
      const shown = existsSync(serial) ? readFileSync(serial, 'latin1') : '';
      const passed = performance.now() - started;
      const tell = (limit: number): string => `in ${Math.round(limit / 1000)} seconds`;
      // A guest that reboots would boot again after a panic.
      if (shown.includes('Kernel panic')) kill('its kernel panicked', true);
      else if (passed > bootMilliseconds && !shown.includes(scriptBegins)) {
        kill(`it was not up ${tell(bootMilliseconds)}`, true);
      } else if (passed > milliseconds) kill(`it did not end ${tell(milliseconds)}`, false);
    }, 1000);
    const done = (ended: Ended): void => {
      clearInterval(look);
      if (output !== '') writeFileSync(log, output);
      resolve(ended);
    };
    qemu.once('error', (error) => done({ failure: `QEMU cannot be started: ${error.message}`, again: false }));
    qemu.once('close', (code, signal) => {
      const bad = { failure: `QEMU ended with ${signal ?? code}: ${output.trim()}`, again: true };
      done(end ?? (code === 0 ? { failure: undefined, again: false } : bad));
    });
  });
}
