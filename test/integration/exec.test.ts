import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { execInContainer } from '../../src/container/exec.ts';
import { ContainerStore } from '../../src/container/store.ts';
import { Terminal } from './terminal.ts';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const none = ['--network', 'none'];

async function background(name: string, flags: readonly string[] = [], command = ['sleep', '1000']): Promise<void> {
  await tsrunOk(['run', '-d', '--name', name, ...none, ...flags, 'busybox', ...command]);
}

async function using(
  name: string,
  flags: readonly string[],
  use: () => Promise<void>,
  command?: string[],
): Promise<void> {
  await background(name, flags, command);
  try {
    await use();
  } finally {
    await tsrun(['rm', '-f', name]);
  }
}

/** Waits until `happened`. */
async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await happened()); await delay(30)) {
    if (Date.now() > deadline) throw new Error('it did not happen');
  }
}

interface EventLine {
  Action: string;
  Actor: { Attributes: Record<string, string> };
}

function execEvents(): EventLine[] {
  const lines = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as EventLine).filter(({ Action }) => Action.startsWith('exec_'));
}

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  await background('box', ['-e', 'A=1', '-w', '/tmp']);
});

afterAll(async () => {
  await tsrun(['rm', '-f', 'box']);
});

test('a command runs with the environment, directory and walls of the container', async () => {
  const script = 'pwd; echo $A $B $HOSTNAME $HOME; cat /proc/self/attr/current 2>/dev/null; readlink /proc/self/ns/net';
  const { code, stdout, stderr } = await tsrun(['exec', '-e', 'B=2', 'box', 'sh', '-c', script]);
  const id = await tsrunOk(['inspect', '--format', '{{.Id}}', 'box']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(`/tmp\n1 2 ${id.slice(0, 12)} /root\n`);
  const same =
    'grep -E "^(Cap|Seccomp|NoNewPrivs|Groups|Umask)" /proc/PID/status; readlink /proc/PID/ns/*; cat /proc/PID/cgroup';
  const own = await tsrunOk(['exec', 'box', 'sh', '-c', same.replaceAll('PID', 'self')]);
  const first = await tsrunOk(['exec', 'box', 'sh', '-c', same.replaceAll('PID', '1')]);
  expect(own).toBe(first);
});

test('stdin, stdout and stderr are its own; the exit status is that of the command', async () => {
  const result = await tsrun(['exec', '-i', 'box', 'sh', '-c', 'cat; echo bad >&2; exit 7'], { stdin: 'hello' });
  expect(result).toMatchObject({ code: 7, stdout: 'hello', stderr: 'bad\n' });
  expect(await tsrun(['exec', 'box', 'sh', '-c', 'cat; kill -9 $$'])).toMatchObject({ code: 137, stdout: '' });
});

test('what cannot be run says why, with 126 or 127, and leaves no process', async () => {
  expect(await tsrun(['exec', 'box', 'nope'])).toMatchObject({
    code: 127,
    stdout: '',
    stderr: expect.stringContaining('cannot run "nope": executable file not found in $PATH'),
  });
  expect((await tsrun(['exec', 'box', '/etc/passwd'])).code).toBe(126);
  const directory = await tsrun(['exec', '-w', '/nope', 'box', 'true']);
  expect(directory.code).toBe(126);
  expect(directory.stderr).toContain('the working directory does not exist in the container');
  const user = await tsrun(['exec', '-u', 'nobodyx', 'box', 'true']);
  expect(user).toMatchObject({ code: 126, stderr: expect.stringContaining('unable to find user nobodyx') });
  expect((await tsrun(['exec', '-d', 'box', 'nope'])).code).toBe(1);
  // sleep and sh.
  expect(await tsrunOk(['exec', 'box', 'sh', '-c', 'set -- /proc/[0-9]*; echo $#'])).toBe('2');
});

test('users come by name and number, with the groups of the container', async () => {
  expect(await tsrunOk(['exec', '-u', '1234:5', 'box', 'id'])).toBe('uid=1234 gid=5 groups=5');
  const adduser = 'echo "new:x:77:78::/home/new:/bin/sh" >>/etc/passwd; echo "extra:x:79:new" >>/etc/group';
  await tsrunOk(['exec', 'box', 'sh', '-c', adduser]);
  const script = 'id -u; id -G; echo $HOME';
  expect(await tsrunOk(['exec', '-u', 'new', 'box', 'sh', '-c', script])).toBe('77\n78 79\n/home/new');
});

test('--privileged gives all capabilities, and keeps the filter of the container', async () => {
  const script = 'grep -E "^(CapEff|Seccomp):" /proc/self/status';
  const usual = await tsrunOk(['exec', 'box', 'sh', '-c', script]);
  const privileged = await tsrunOk(['exec', '--privileged', 'box', 'sh', '-c', script]);
  expect(usual).toContain('CapEff:\t00000000');
  expect(privileged).not.toContain('CapEff:\t00000000');
  expect(privileged).toContain('Seccomp:\t2');
});

test('a detached command is left alone, and its end is noted by its monitor', async () => {
  expect(await tsrun(['exec', '-d', 'box', 'sh', '-c', 'echo x >/tmp/detached; exit 3'])).toMatchObject({
    code: 0,
    stdout: '',
    stderr: '',
  });
  await until(() => execEvents().at(-1)?.Action === 'exec_die');
  const events = execEvents().slice(-3);
  expect(events.map(({ Action }) => Action.split(':')[0])).toEqual(['exec_create', 'exec_start', 'exec_die']);
  expect(events[2]?.Actor.Attributes).toMatchObject({ name: 'box', exitCode: '3' });
  expect(new Set(events.map(({ Actor }) => Actor.Attributes.execID)).size).toBe(1);
  const state = join(inject('state'), 'containers', await tsrunOk(['inspect', '--format', '{{.Id}}', 'box']));
  await until(() => readdirSync(state).every((name) => !name.startsWith('exec-')));
});

/** The monitors of commands in the container whose state is in `state`. */
function execMonitors(state: string): number[] {
  const holds = (pid: string): boolean => {
    try {
      return (
        readlinkSync(`/proc/${pid}/exe`).startsWith('/memfd:tsrun-monitor') &&
        readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${state}/exec-`))
      );
    } catch {
      return false; // it has ended
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && holds(name))
    .map(Number);
}

test('inspect lists commands that run; what one leaves whose monitor was killed is swept', async () => {
  const ids = (): Promise<string> => tsrunOk(['inspect', '-f', '{{json .ExecIDs}}', 'box']);
  expect(await ids()).toBe('null');
  await tsrunOk(['exec', '-d', 'box', 'sleep', '1000']);
  expect(await ids()).toMatch(/^\["[0-9a-f]{64}"\]$/);
  const state = join(inject('state'), 'containers', await tsrunOk(['inspect', '-f', '{{.Id}}', 'box']));
  const left = (): string[] => readdirSync(state).filter((name) => name.startsWith('exec-'));
  for (const pid of execMonitors(state)) process.kill(pid, 'SIGKILL');
  await until(async () => (await ids()) === 'null');
  expect(left()).toHaveLength(1);
  await tsrunOk(['exec', 'box', 'killall', 'sleep']);
  expect(left()).toEqual([]);
});

test('a client that is killed leaves its command running', async () => {
  const child = spawn(tsrunPath, ['exec', 'box', 'sh', '-c', 'echo up; sleep 1; echo done >/tmp/survived'], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGKILL');
  await until(async () => (await tsrun(['exec', 'box', 'cat', '/tmp/survived'])).stdout === 'done\n');
});

test('a reader that leaves ends the client quietly', async () => {
  const script = `${tsrunPath} exec box yes | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const child = spawn('bash', ['-c', script], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await new Promise((resolve) => child.once('close', resolve));
  expect(output).toBe('y\n141\n');
  await tsrunOk(['exec', 'box', 'killall', 'yes']);
});

test('as typed on a terminal it is interactive, follows its size, and takes Ctrl-C', async () => {
  using terminal = Terminal.tsrun(['exec', 'box', 'sh'], { columns: 90, rows: 25 });
  await terminal.waitFor('/tmp #');
  terminal.type('tty; stty size; echo $TERM');
  terminal.press('Enter');
  await terminal.waitFor('25 90');
  terminal.resize(70, 20);
  terminal.type('sleep 0.2; stty size; sleep 100');
  terminal.press('Enter');
  await terminal.waitFor('20 70');
  terminal.press('C-c');
  terminal.type('exit 9');
  terminal.press('Enter');
  expect(await terminal.exit()).toBe(9);
});

test('the detach keys leave the command, as docker with status 1', async () => {
  using terminal = Terminal.tsrun(['exec', '-it', 'box', 'sh', '-c', 'echo up; sleep 2']);
  await terminal.waitFor('up');
  terminal.press('C-p', 'C-q');
  expect(await terminal.exit()).toBe(1);
  expect(terminal.screen()).toContain('read escape sequence');
});

test('what does not run is refused with the words of docker', async () => {
  await tsrunOk(['run', '--name', 'over', ...none, 'busybox', 'true']);
  const id = await tsrunOk(['inspect', '--format', '{{.Id}}', 'over']);
  try {
    for (const command of [
      ['exec', 'over', 'true'],
      ['top', 'over'],
    ]) {
      const result = await tsrun(command);
      expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining(`Container ${id} is not running`) });
    }
    expect(await tsrun(['exec', 'nobody', 'true'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Error: No such container: nobody'),
    });
  } finally {
    await tsrun(['rm', 'over']);
  }
});

test('containers with an init, a read-only root, namespaces of the host and no filter', async () => {
  await using('odd', ['--init', '--read-only', '--pid', 'host', '--security-opt', 'seccomp=unconfined'], async () => {
    const script =
      'grep Seccomp: /proc/self/status; touch /x 2>/dev/null || echo read-only; readlink /proc/self/ns/pid';
    const own = await tsrunOk(['exec', 'odd', 'sh', '-c', script]);
    expect(own).toContain('Seccomp:\t0\nread-only\npid:[');
  });
});

test('a container that lies about its files is never followed out of', async () => {
  const host = mkdtempSync('/var/tmp/tsrun-liar.');
  writeFileSync(join(host, 'passwd'), 'hostly:x:1234:1234::/:/bin/sh\n');
  writeFileSync(join(host, 'tool'), '#!/secret/interpreter\n', { mode: 0o755 });
  const script = [
    'rm /etc/passwd /etc/group',
    `ln -s ${host}/passwd /etc/passwd`,
    'mkfifo /etc/group',
    'ln -s /proc/self/fd/5 /cwd',
    'mkdir /pts; mount -t devpts -o newinstance,ptmxmode=666 devpts /pts; mount -t tmpfs tmpfs /dev/pts',
    'ln -s /pts/ptmx /dev/pts/ptmx',
    'cp /bin/busybox /tmp/tool',
    'exec sleep 1000',
  ].join('; ');
  await using(
    'liar',
    ['--cap-add', 'SYS_ADMIN'],
    async () => {
      await until(async () => (await tsrun(['exec', '-u', '0', 'liar', 'test', '-e', '/tmp/tool'])).code === 0);
      // The fifo has no writer and the link leads to a file that the host alone has: nobody waits, nothing is found.
      expect(await tsrun(['exec', '-u', 'hostly', 'liar', 'true'], { timeout: 10_000 })).toMatchObject({
        code: 126,
        stderr: expect.stringContaining('unable to find user hostly'),
      });
      await tsrunOk(['exec', 'liar', 'sh', '-c', 'rm /etc/passwd; mkfifo /etc/passwd']);
      expect(await tsrun(['exec', '-u', 'hostly', 'liar', 'true'], { timeout: 10_000 })).toMatchObject({ code: 126 });
      expect((await tsrun(['exec', '-t', 'liar', 'true'], { tty: true })).stdout).toContain('has a link there');
      // Nor to say why a command could not be run.
      expect(await tsrun(['exec', 'liar', `${host}/tool`])).toMatchObject({
        code: 127,
        stderr: expect.not.stringContaining('secret'),
      });
      for (const cwd of ['/proc/self/fd/5', '/proc/self/fd/6', '/proc/self/fd/8', '/proc/self/fd/9', '/cwd']) {
        const result = await tsrun(['exec', '-w', cwd, 'liar', 'pwd']);
        expect(result).toMatchObject({ code: 126, stdout: '' });
      }
    },
    ['sh', '-c', script],
  );
  rmSync(host, { recursive: true });
});

test('the command has descriptors 0, 1 and 2 and nothing else', async () => {
  const script = 'exec 9</; ls /proc/self/fd | tr "\\n" " "';
  // 3 is the directory that ls reads; 9 is what the script opened.
  expect(await tsrunOk(['exec', 'box', 'sh', '-c', script])).toBe('0 1 2 3 9 ');
});

test('a container that is paused after it was looked at: the command is given up, and none of it is left', async () => {
  const giveUp = (name: string, flags: readonly string[]): Promise<void> =>
    using(name, flags, async () => {
      const store = new ContainerStore(inject('root'), inject('state'));
      const container = store.resolve(name);
      await tsrunOk(['pause', name]);
      const request = { command: ['touch', '/ran'], env: [], privileged: false, terminal: false, interactive: false };
      const rest = { detach: false, detachKeys: new Uint8Array(), term: undefined };
      await expect(execInContainer(store, container, name, { ...request, ...rest }, () => {})).rejects.toThrow(
        `Container ${name} is paused, unpause the container before exec`,
      );
      await tsrunOk(['unpause', name]);
      const cgroup = join(container.state.start?.cgroup ?? '', 'cgroup.procs');
      await until(() => readFileSync(cgroup, 'utf8') === `${container.state.pid}\n`);
      expect(existsSync(`/proc/${container.state.pid}/root/ran`)).toBe(false);
    });
  // Joined by one process, and by two.
  await Promise.all([giveUp('e-late', []), giveUp('e-traced', ['--cap-add=SYS_PTRACE'])]);
});
