import { describe, expect, test } from 'vitest';
import { parseArguments } from '../../../../src/cli/arguments.ts';
import { buildRunOptions, type Terminals } from '../../../../src/cli/options/run-options.ts';
import { allRunFlags } from '../../../../src/cli/run-flags.ts';
import type { RunOptions } from '../../../../src/container/run-options.ts';
import { TsrunError } from '../../../../src/error.ts';

const none: Terminals = { stdin: false, stdout: false };
const both: Terminals = { stdin: true, stdout: true };

function build(line: string, terminals = none): RunOptions {
  const argv = line.split(' ').filter((word) => word !== '');
  const parsed = parseArguments(argv, { command: 'tsrun run', flags: allRunFlags, interspersed: false });
  return buildRunOptions(parsed.flags, parsed.args, terminals, { HOME: '/root' });
}

test('nothing but an image: docker’s defaults', () => {
  expect(build('debian')).toEqual({
    image: 'debian',
    command: [],
    pull: 'missing',
    detach: false,
    interactive: false,
    terminal: false,
    attach: [],
    remove: false,
    init: false,
    sigProxy: true,
    env: [],
    labels: {},
    groupAdd: [],
    network: 'default',
    publish: [],
    publishAll: false,
    expose: [],
    extraHosts: [],
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
    firewall: 'warn',
    mounts: [],
    readOnly: false,
    shmSize: 64 * 1024 ** 2,
    privileged: false,
    capAdd: [],
    capDrop: [],
    securityOpt: [],
    devices: [],
    sysctls: {},
    ulimits: [],
    pidMode: '',
    ipcMode: '',
    utsMode: '',
    cgroupns: '',
    restart: { name: 'no', maximumRetryCount: 0 },
    log: { driver: 'json-file' },
  });
});

test.each<[string, Partial<RunOptions>]>([
  ['--name /web x', { name: 'web' }],
  ['--annotation a=b --annotation c x', { annotations: { a: 'b', c: '' } }],
  ['--link db x', { links: [{ target: 'db', alias: 'db' }] }],
  ['--link db:x --link /db:/web/y x', { links: ['x', 'y'].map((alias) => ({ target: 'db', alias })) }],
  ['--rm -d --init x', { remove: true, detach: true, init: true }],
  ['x sh -c --rm', { image: 'x', command: ['sh', '-c', '--rm'], remove: false }],
  ['--entrypoint /bin/sh x -c ls', { entrypoint: ['/bin/sh'], command: ['-c', 'ls'] }],
  ['--entrypoint= x ls', { entrypoint: [], command: ['ls'] }],
  ['-e HOME -e A=1 -eB x', { env: ['HOME=/root', 'A=1', 'B'] }],
  [
    '-m 64m --memory-swap -1 --cpus 1.5 -c 512 x',
    { memory: 64 * 1024 ** 2, memorySwap: -1, nanoCpus: 1.5e9, cpuShares: 512 },
  ],
  ['--pids-limit -1 --oom-score-adj -5 x', { pidsLimit: -1, oomScoreAdj: -5 }],
  ['--ulimit nofile=1 --ulimit nofile=2 x', { ulimits: [{ name: 'nofile', soft: 2, hard: 2 }] }],
  [
    '--net host --pid host --ipc host --uts host --cgroupns host x',
    { network: 'host', pidMode: 'host', ipcMode: 'host', utsMode: 'host', cgroupns: 'host' },
  ],
  ['--network container:web --pid container:web x', { network: 'container:web', pidMode: 'container:web' }],
  [
    '-p 8080:80 -p 53:53/udp x',
    {
      publish: [
        { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
        { hostIp: '', hostPort: 53, containerPort: 53, protocol: 'udp' },
      ],
    },
  ],
  ['--expose 80-81 --expose 99/udp -P x', { expose: ['80/tcp', '81/tcp', '99/udp'], publishAll: true }],
  [
    '--add-host a:1.2.3.4 --add-host b=[::1] --add-host c:host-gateway x',
    { extraHosts: ['a:1.2.3.4', 'b:::1', 'c:host-gateway'] },
  ],
  ['--dns 8.8.8.8 --dns-search . --dns-opt ndots:2 x', { dns: ['8.8.8.8'], dnsSearch: ['.'], dnsOptions: ['ndots:2'] }],
  ['--log-driver none x', { log: { driver: 'none' } }],
  ['--log-opt max-size=1m --log-opt max-file=3 x', { log: { driver: 'json-file', maxSize: 1024 ** 2, maxFiles: 3 } }],
  ['--stop-signal INT --stop-timeout 3 --sig-proxy=false x', { stopSignal: 'INT', stopTimeout: 3, sigProxy: false }],
  ['-a stdout -a STDERR x', { attach: ['stdout', 'stderr'] }],
  [
    '--sysctl net.core.somaxconn=10 --restart no --pull always x',
    { sysctls: { 'net.core.somaxconn': '10' }, pull: 'always' },
  ],
  ['--userns host --shm-size 0 -h web x', { shmSize: 64 * 1024 ** 2, hostname: 'web' }],
  ['--device /dev/null:r x', { devices: [{ hostPath: '/dev/null', containerPath: '/dev/null', permissions: 'r' }] }],
])('%s', (line, expected) => {
  expect(build(line)).toMatchObject(expected);
});

describe('on a terminal a shell needs no -it', () => {
  test.each<[string, Terminals, boolean, boolean]>([
    ['debian ash', both, true, true],
    ['debian ash', { stdin: true, stdout: false }, false, false],
    ['debian ash', { stdin: false, stdout: true }, false, false],
    ['-d debian ash', both, false, false],
    ['-i debian cat', both, true, false],
    ['-t debian ls', both, false, true],
    ['-it=false debian ls', both, true, false],
    ['-a stdout debian ls', both, false, false],
    ['-it debian sh', none, true, true],
  ])('%s with %j', (line, terminals, interactive, terminal) => {
    expect(build(line, terminals)).toMatchObject({ interactive, terminal });
  });
});

test.each([
  ['--restart foo x', 'USAGE', "invalid restart policy 'foo'"],
  ['--restart no:3 x', 'USAGE', "maximum retry count cannot be used with restart policy 'no'"],
  ['--restart on-failure:x x', 'USAGE', 'maximum retry count must be an integer'],
  ['--restart on-failure:1:2 x', 'USAGE', 'invalid restart policy format'],
  ['--restart always --rm x', 'USAGE', 'Conflicting options: --restart and --rm'],
  ['--restart always:2 x', 'USAGE', "maximum retry count cannot be used with restart policy 'always'"],
  ['--pull foo x', 'USAGE', `invalid pull option: 'foo': must be one of "always", "missing" or "never"`],
  ['--cgroupns foo x', 'USAGE', '--cgroupns: invalid CGROUP mode'],
  ['--ipc foo x', 'USAGE', 'Invalid IPC mode: foo'],
  ['--pid foo x', 'USAGE', '--pid: invalid PID mode'],
  ['--uts foo x', 'USAGE', '--uts: invalid UTS mode'],
  ['--userns nomap x', 'UNSUPPORTED', '--userns=nomap is not supported'],
  ['--userns foo x', 'USAGE', '--userns: invalid USER mode'],
  ['--userns auto:size=0 x', 'USAGE', '--userns: invalid option "size=0" of auto'],
  ['--userns auto:size=65537 x', 'USAGE', '--userns: invalid option "size=65537" of auto'],
  ['--userns keep-id:0:0 x', 'USAGE', '--userns=keep-id: root has no user to keep'],
  ['--network container: x', 'USAGE', 'Invalid network mode: invalid container format container:<name|id>'],
  ['--network container:a -h b x', 'USAGE', 'conflicting options: hostname and the network mode'],
  [
    '--network container:a -p 80 x',
    'USAGE',
    'conflicting options: port publishing and the container type network mode',
  ],
  ['--uts host -h b x', 'USAGE', 'conflicting options: hostname and the UTS mode'],
  [`-h ${'h'.repeat(65)} x`, 'USAGE', 'invalid hostname: it has 65 bytes, the kernel takes 64'],
  ['--mount type=bind,src="a",dst=/b x', 'USAGE', 'parse error on line 1, column 15: bare " in non-quoted field'],
  ['--mount type=bind,"src=a x', 'USAGE', 'parse error on line 1, column 17: extraneous or missing " in quoted-field'],
  ['-w foo x', 'USAGE', "the working directory 'foo' is invalid, it needs to be an absolute path"],
  ['--log-driver foo x', 'USAGE', 'error looking up logging plugin foo: plugin "foo" not found'],
  ['--log-opt foo=1 x', 'USAGE', "unknown log opt 'foo' for json-file log driver"],
  ['--log-opt max-file=0 x', 'USAGE', 'max-file must be a positive number'],
  [
    '--cidfile /etc/passwd x',
    'USAGE',
    "container ID file found, make sure the other container isn't running or delete /etc/passwd",
  ],
  [
    '--use-api-socket x',
    'UNSUPPORTED',
    '--use-api-socket is not supported: there is no daemon, and so no socket to give',
  ],
  ['--health-cmd true --no-healthcheck x', 'USAGE', '--no-healthcheck conflicts with --health-* options'],
  ['--firewall foo x', 'USAGE', '--firewall must be "warn" or "cooperate"'],
  ['-p foo x', 'USAGE', 'invalid containerPort: foo'],
])('%s is refused', (line, code, message) => {
  let caught: unknown;
  try {
    build(line);
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(TsrunError);
  expect(caught).toMatchObject({ code, exitCode: 125, message: expect.stringContaining(message) });
});

test('-d with -a fails with the status that docker has for it', () => {
  const parse = (): unknown => build('-d -a stdin x');
  expect(parse).toThrow(
    expect.objectContaining({ message: 'conflicting options: cannot specify both --attach and --detach', exitCode: 1 }),
  );
});
