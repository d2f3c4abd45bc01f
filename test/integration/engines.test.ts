/**
 * The two engines of the executable: what is typed gives the same with either, in whatever state the process is started; and the
 * usual commands run in the small one. TSRUN_ENGINES_ALL=1 runs all of the tables.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { environment, type Result, run, tsrun, tsrunOk } from './tsrun.ts';

const executable = join(checkout, 'dist/tsrun');
/** ARENA_IN_FILE and ARENA_MAGIC of native/small-engine/host.h. */
const hasBoth =
  existsSync(executable) &&
  process.env.TSRUN_RUNTIME !== 'node' &&
  process.env.TSRUN_ENGINE !== 'large' &&
  readFileSync(executable)
    .subarray(4 << 20, (4 << 20) + 8)
    .toString() === 'truarena';
const all = process.env.TSRUN_ENGINES_ALL === '1';
const name = 'engines';
const other = 'engines-ended';
const long = 'engines-long';
let directory = '';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'engines.'));
  await tsrunOk(['pull', '-q', 'busybox']);
  const script =
    'trap "exit 3" TERM; i=0; while [ $i -lt 3 ]; do echo line $i; i=$((i+1)); done; echo error >&2; sleep 1000 & wait';
  await tsrunOk([
    'run',
    '-d',
    '--name',
    name,
    '-l',
    'a=b',
    '-e',
    'X=ü',
    '-p',
    '127.0.0.1::80',
    'busybox',
    'sh',
    '-c',
    script,
  ]);
  await tsrun(['run', '--name', other, '--network', 'none', 'busybox', 'sh', '-c', 'echo out; exit 7']);
  await tsrunOk(['volume', 'create', 'engines-volume']);
});

afterAll(async () => {
  await tsrun(['rm', '-f', name, other, long]);
  await tsrun(['volume', 'rm', '-f', 'engines-volume']);
  rmSync(directory, { recursive: true, force: true });
});

const large = { TSRUN_ENGINE: 'large' };

/** Runs a line of sh, in which tsrun is a function, with either engine. */
async function both(line: string, env: Record<string, string> = {}): Promise<[small: Result, large: Result]> {
  const script = `tsrun() { ${executable} "$@"; }\n${line.replaceAll('EXE ', `${executable} `)}`;
  return [await run('sh', ['-c', script], { env }), await run('sh', ['-c', script], { env: { ...env, ...large } })];
}

/** What differs from one second to the next. */
const settled = ({ code, signal, stdout, stderr }: Result) => ({
  code,
  signal,
  stdout: stdout.replace(/(\d+|About an?|Less than a) (second|minute)s?/g, '(time)').replace(/ +/g, ' '),
  stderr,
});

const usual = [
  'ps',
  'ps -a --format "{{.Names}} {{.Status}}"',
  'ps -aq --no-trunc',
  'ps -a --filter status=exited --filter exited=7',
  `ps -a --format '{{json .}}' -f name=${other}`,
  `ps --format 'table {{.Names}}\\t{{.Ports}}\\t{{.Labels}}'`,
  `ps -a --format '{{.CreatedAt}} {{.Status}}' -f name=${other}`,
  `ps -as -n 1`,
  `inspect ${name}`,
  `inspect -f '{{range .Config.Env}}{{println .}}{{end}}{{.State.StartedAt}}' ${name}`,
  `inspect -f '{{index .NetworkSettings.Ports "80/tcp"}}' ${name} no-such-one`,
  'inspect --type volume engines-volume',
  'inspect busybox',
  'images',
  'images -a --digests --no-trunc',
  `images --format '{{json .}}'`,
  'history busybox',
  'history --no-trunc --human=false busybox',
  `logs ${name}`,
  `logs -t --details ${other}`,
  `logs --tail 1 ${name}`,
  `logs --since 1h --until 2999-01-02T03:04:05.123456789+01:30 ${name}`,
  `logs --since 2026-13-01 ${name}`,
  `logs --since yesterday ${name}`,
  `port ${name}`,
  `top ${name} -o pid,comm,args`,
  `exec ${name} sh -c 'echo out; echo err >&2; exit 5'`,
  `exec -e Y=1 -w /tmp -u 1000:1000 ${name} sh -c 'id; pwd; echo $X$Y'`,
  `exec ${name} no-such-command`,
  `exec ${name}`,
  `exec ${other} true`,
  'volume ls',
  'volume inspect engines-volume',
  'network ls',
  'network inspect bridge',
  `wait ${other}`,
  `diff ${other}`,
  `why ${other}`,
  `explain ${other}`,
  `stop ${other}`,
  `rm ${name}`,
  'rm no-such-one',
  'start no-such-one',
  `run --rm --network none busybox sh -c 'echo out; echo err >&2; exit 9'`,
  'run --rm --network none -i busybox cat </etc/passwd',
  'run --rm busybox no-such-command',
  'run --rm --pull never no-such-image',
  'run --rm --memory 1 busybox',
  'run --rm Busybox',
  'run --rm -v /no/such:rx busybox',
  'run --no-such-flag busybox',
  'create --name ä busybox',
  'events --since 1h --until 0s --filter event=die --filter container=engines-ended',
  'version',
  'version -f "{{json .Client.Version}}"',
  '--version',
  '--help',
  'run --help',
  'no-such-command',
  'pss',
  'ps --format "{{.NoSuchField}}"',
  'ps --format "{{"',
  `ps --format '{{"\\xff"}}{{printf "%q %5.2f %08d %v" "ü" 1.5 42 nil}}'`,
  'ps --filter no=such',
  'completion bash',
  '__complete ps --',
  'cp engines-ended:/etc/hostname -',
  'cp engines-ended:/no/such /tmp/x',
  `stats --no-stream --format '{{.Name}}'`,
  'system df',
  'info --format "{{.OSType}}"',
  'search x',
  'login --help',
];

/** How a process may be found by its command: the line, and an environment besides that of the tests. */
const states: Record<string, string> = {
  'closed stdin': 'tsrun ps -q <&-; tsrun exec engines true <&-; tsrun info -f x <&-',
  'closed stdout': 'tsrun ps >&-; tsrun exec engines echo out >&-; tsrun info >&-',
  'closed stderr': 'tsrun rm nothing 2>&-; tsrun exec engines sh -c "echo err >&2" 2>&-',
  'all closed': 'tsrun ps <&- >&- 2>&-; echo $?; tsrun images <&- >&- 2>&-; echo $?',
  'a full disk':
    'tsrun ps >/dev/full; echo $?; tsrun logs engines >/dev/full; echo $?; tsrun exec engines echo x >/dev/full',
  'a reader that has left':
    '{ tsrun completion zsh; echo $? >&2; } | true; { sleep 0.2; tsrun --help; echo $? >&2; } | true',
  'no HOME': 'unset HOME; tsrun ps; tsrun volume ls',
  'no environment': `env -i TSRUN_ENGINE=$TSRUN_ENGINE ${executable} --help; env -i TSRUN_ENGINE=$TSRUN_ENGINE ${executable} version`,
  'strange variables':
    '__proto__=1 constructor=2 toString=3 TZ=Europe/Berlin LC_ALL=tr_TR tsrun ps -a --format "{{.CreatedAt}}"; tsrun run --rm --network none -h h -e constructor -e __proto__ -e toString busybox env',
  zones:
    'for z in UTC Asia/Kolkata America/St_Johns No/Such :Europe/Paris; do TZ=$z tsrun ps -a --format "{{.CreatedAt}}"; done',
  'bytes that are no text':
    'x=$(printf "\\200a\\377\\355\\240\\200"); tsrun inspect "$x"; tsrun ps -f name="$x"; tsrun exec -e "$x=1" engines true; tsrun ps --format "$x"',
  'words of all sizes':
    'tsrun ""; tsrun inspect ""; tsrun ps -f name=; tsrun inspect $(head -c 100000 /dev/zero | tr "\\0" x) | tail -c 100; tsrun run --rm --name "" busybox true',
  'few descriptors': 'ulimit -n 20; tsrun ps; tsrun exec engines echo out; tsrun logs engines',
  'a small stack': 'ulimit -s 1024; tsrun ps; tsrun inspect engines | tail -1',
  'a stack without end': 'ulimit -s unlimited; tsrun ps; tsrun inspect engines | tail -1',
  'little memory': 'ulimit -v 2000; tsrun ps 2>/dev/null; [ $? -ge 125 ] && echo refused',
  'ignored signals': 'trap "" HUP INT TERM PIPE; tsrun ps -q; tsrun info -f "{{.OSType}}"',
  'no addresses by chance': 'setarch -R sh -c "EXE ps -q; EXE info -f {{.OSType}}" ',
  'data that is code': 'setarch -X sh -c "EXE ps -q; EXE info -f {{.OSType}}"',
  'a session of its own': 'setsid -w sh -c "EXE ps -q; EXE info -f {{.OSType}}"; nohup EXE ps -q 2>/dev/null',
};

/** Every third line is of use where all would take too long; with TSRUN_ENGINES_ALL=1 they are all typed. */
const some = <T>(lines: readonly T[]): readonly T[] => (all ? lines : lines.filter((_, index) => index % 3 === 0));

describe.skipIf(!hasBoth)('with either engine', () => {
  it.each(some(usual))('%s', async (line) => {
    const [one, two] = await both(`tsrun ${line}`);
    expect(settled(one)).toEqual(settled(two));
    expect(one.stderr).not.toContain('fault of tsrun');
  });

  it.each(some(Object.entries(states)))('%s', async (_, line) => {
    const [one, two] = await both(`cd ${directory}; ${line}`);
    expect(settled(one)).toEqual(settled(two));
    expect(one.stderr).not.toContain('fault of tsrun');
  });

  it('no signal is ignored or blocked in a container, whoever starts it', async () => {
    const status = 'grep -E "Sig(Blk|Ign)" /proc/self/status';
    const line = `trap "" HUP INT TERM PIPE; tsrun exec ${name} ${status}; tsrun run --rm --network none busybox ${status}`;
    const none = 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n';
    for (const result of await both(line)) expect(result).toMatchObject({ stdout: none + none, stderr: '' });
  });
});

/** What is mapped into a process. */
const maps = (pid: number): string => readFileSync(`/proc/${pid}/maps`, 'utf8');

/** The process of a command when it waits for something, found by what it has mapped: sh before it is another program. */
async function untilItRuns(pid: number): Promise<void> {
  while (!maps(pid).includes('dist/tsrun') || !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') S '))
    await delay(10);
}

describe.skipIf(!hasBoth)('the large engine', () => {
  it('goes on with what the small one has not, whatever the executable is called and wherever it lies', async () => {
    const [link, copy] = ['link', 'copy'].map((file) => join(directory, file)) as [string, string];
    symlinkSync(executable, link);
    copyFileSync(executable, copy);
    const command = 'info -f {{.OSType}}';
    const script = [
      `${link} ${command}`,
      `${copy} ${command}`,
      `bash -c 'exec -a other ${executable} ${command}'`,
      `env -i ${executable} ${command}`,
      `cd ${directory} && ./link ${command}`,
      `unshare -m sh -c 'mount -t tmpfs -o noexec none /tmp; ${executable} ${command}'`,
    ].join('; ');
    expect(await run('sh', ['-c', script])).toMatchObject({ code: 0, stdout: 'linux\n'.repeat(6), stderr: '' });
  });

  it('prints long logs', async () => {
    // Hundreds of KiB: the log of this is printed by the large engine.
    const much = 'yes 0123456789 | head -n 50000; sleep 1000';
    await tsrunOk(['run', '-d', '--name', long, '--network', 'none', 'busybox', 'sh', '-c', much]);
    const path = await tsrunOk(['inspect', '-f', '{{.LogPath}}', long]);
    while (statSync(path).size < 2_000_000) await delay(20);
    const [one, two] = await both(`tsrun logs ${long} | sort | uniq -c`);
    expect(one).toEqual(two);
    expect(one.stdout.trim()).toBe('50000 0123456789');
    await tsrunOk(['rm', '-f', long]);
  });
});

/** Runs a command, of whose output nothing is kept, until it ends or `use` does. Answers how much memory it has taken at most, in KiB. */
async function peakOf(args: readonly string[], use?: () => Promise<void>): Promise<{ bytes: number; peak: number }> {
  const child = spawn(executable, args, { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const look = (): number => {
    const text = existsSync(`/proc/${child.pid}/status`) ? readFileSync(`/proc/${child.pid}/status`, 'utf8') : '';
    return Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? 0);
  };
  let bytes = 0;
  let peak = 0;
  child.stdout.on('data', (data: Buffer) => {
    bytes += data.length;
    peak = Math.max(peak, look());
  });
  if (use !== undefined) {
    await use();
    peak = Math.max(peak, look());
    child.kill('SIGKILL');
  }
  await ended;
  return { bytes, peak };
}

describe.skipIf(!hasBoth)('the small engine', () => {
  it('needs no memory for what goes through it, much or for long', async () => {
    const limit = 40_000;
    const size = all ? 500_000_000 : 50_000_000;
    const executed = await peakOf(['exec', name, 'head', '-c', String(size), '/dev/zero']);
    expect(executed.bytes).toBe(size);
    expect(executed.peak).toBeLessThan(limit);
    const lines = all ? 100_000 : 10_000;
    const followed = await peakOf(['logs', '-f', '--tail', '0', name], async () => {
      await tsrunOk(['exec', name, 'sh', '-c', `yes 0123456789 | head -n ${lines} >/proc/1/fd/1`]);
      await delay(500);
    });
    expect(followed.peak).toBeLessThan(limit);
    expect(followed.bytes).toBeGreaterThan(0);
    const told = await peakOf(['events'], async () => {
      for (let times = 0; times < (all ? 100 : 5); times++) await tsrunOk(['exec', name, 'true']);
    });
    expect(told.peak).toBeLessThan(limit);
  });

  it('says that it needs proc', async () => {
    const script = `mount -t tmpfs none /proc && ${executable} exec engines`;
    const { code, stdout, stderr } = await run('unshare', ['-m', 'sh', '-c', script]);
    const reason = 'cannot open /proc/self/exe (is proc mounted at /proc?): No such file or directory';
    expect([code, stdout, stderr]).toEqual([125, '', `tsrun: ${reason}\n`]);
  });

  it.each([
    ['wait', name],
    ['logs', '-f', '--tail', '0', name],
    ['events'],
    ['exec', '-i', name, 'cat'],
    ['attach', '--sig-proxy=false', name],
  ])('has %s for itself: no thread, no loader of libraries, no code that is written while it runs', async (...args) => {
    const child = spawn(executable, args, { env: environment(), stdio: ['pipe', 'ignore', 'inherit'] });
    const { pid = 0 } = child;
    try {
      await untilItRuns(pid);
      expect(readdirSync(`/proc/${pid}/task`)).toHaveLength(1);
      const libraries = maps(pid)
        .split('\n')
        .filter((line) => /\.so|^\S+ .wx/.test(line));
      expect(libraries).toEqual([]);
    } finally {
      if (args[0] === 'exec') child.stdin.end();
      else child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
});
