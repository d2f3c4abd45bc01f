import { expect, test } from 'vitest';
import { compileTemplate } from '../../../../src/cli/format/template.ts';
import { toJson } from '../../../../src/cli/format/value.ts';
import { parseMount, parseTmpfs, parseVolume } from '../../../../src/cli/options/mounts.ts';
import { containerDocument } from '../../../../src/cli/views/container-inspect.ts';
import type { Container } from '../../../../src/container/record.ts';
import { container, id, imageId, running } from './container.ts';

// biome-ignore lint/suspicious/noExplicitAny: what JSON.parse gives
function inspect(of: Container): any {
  return JSON.parse(toJson(containerDocument(of, { layerPath: (chainId) => `/layers/${chainId}` })));
}

test('the top level has docker’s fields, in docker’s order', () => {
  const document = inspect(container());
  expect(Object.keys(document)).toEqual(
    'Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings'.split(
      ' ',
    ),
  );
  expect(document).toMatchObject({
    Id: id,
    Path: 'sh',
    Args: ['-c', 'echo hello; sleep 1000'],
    Image: imageId,
    Name: '/web',
    ExecIDs: null,
    GraphDriver: {
      Name: 'overlay2',
      Data: {
        LowerDir: '/layers/sha256:bb:/layers/sha256:aa',
        MergedDir: '',
        UpperDir: `/root/containers/${id}/upper`,
      },
    },
  });
});

test('State has the pressure of one that runs, in the words of the kernel', () => {
  const line = { avg10: 1.5, avg60: 0.25, avg300: 0, total: 42 };
  const shown = { Avg10: 1.5, Avg60: 0.25, Avg300: 0, Total: 42 };
  const document = containerDocument(container({ state: running([]) }), {
    layerPath: (chainId) => chainId,
    pressure: { cpu: { some: line }, memory: { some: line, full: line } },
  });
  expect(JSON.parse(toJson(document)).State.Pressure).toEqual({
    CPU: { Some: shown },
    Memory: { Some: shown, Full: shown },
  });
  expect(inspect(container()).State).not.toHaveProperty('Pressure');
});

test('State is docker’s', () => {
  expect(inspect(container({ state: { exitCode: 3, oomKilled: true, error: 'why' } })).State).toEqual({
    Status: 'exited',
    Running: false,
    Paused: false,
    Restarting: false,
    OOMKilled: true,
    Dead: false,
    Pid: 0,
    ExitCode: 3,
    Error: 'why',
    StartedAt: '2026-11-23T22:57:28.000Z',
    FinishedAt: '2026-11-23T22:57:30.000Z',
  });
  const created = inspect(container({ state: { status: 'created', startedAt: undefined, finishedAt: undefined } }));
  expect(created.State).toMatchObject({ StartedAt: '0001-01-01T00:00:00Z', FinishedAt: '0001-01-01T00:00:00Z' });
  expect(inspect(container({ state: { ...running([]), status: 'paused' } })).State).toMatchObject({
    Running: true,
    Paused: true,
    Pid: 4711,
  });
});

test('NetworkSettings has the addresses and ports of a container that runs, and nothing of one that does not', () => {
  const ports = [{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }] as const;
  const up = inspect(container({ state: running([...ports]), record: { exposedPorts: ['80/tcp', '443/tcp'] } }));
  expect(up.NetworkSettings).toMatchObject({
    Bridge: 'tsrun0',
    Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '443/tcp': null },
    SandboxKey: '/proc/4711/ns/net',
    IPAddress: '172.30.0.2',
    IPPrefixLen: 16,
    Gateway: '172.30.0.1',
    MacAddress: '02:42:ac:1e:00:02',
    Networks: { bridge: { IPAddress: '172.30.0.2', Gateway: '172.30.0.1', DriverOpts: null } },
  });
  const down = inspect(container({ record: { exposedPorts: ['80/tcp'] } }));
  expect(down.NetworkSettings).toMatchObject({ Ports: {}, IPAddress: '', Networks: { bridge: { IPAddress: '' } } });
  expect(inspect(container({ options: { network: 'host' } })).NetworkSettings.Networks).toHaveProperty('host');
});

test('Config is what runs, as the image and the flags made it', () => {
  const { Config } = inspect(
    container({
      record: {
        process: { ...container().record.process, args: ['/entry', 'arg', 'cmd'], entrypointLength: 2, cwd: '/srv' },
        labels: { a: '1' },
        volumes: ['/data'],
        exposedPorts: ['80/tcp'],
        stopSignal: 'SIGINT',
      },
      options: { publish: [{ hostIp: '', hostPort: 0, containerPort: 443, protocol: 'tcp' }], stopTimeout: 3 },
    }),
  );
  expect(Config).toMatchObject({
    Hostname: id.slice(0, 12),
    Entrypoint: ['/entry', 'arg'],
    Cmd: ['cmd'],
    WorkingDir: '/srv',
    Labels: { a: '1' },
    Volumes: { '/data': {} },
    ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
    StopSignal: 'SIGINT',
    StopTimeout: 3,
    AttachStdout: false,
  });
  expect(inspect(container()).Config).toMatchObject({ Entrypoint: null, Volumes: null, WorkingDir: '', Labels: {} });
  expect(inspect(container()).Config).not.toHaveProperty('ExposedPorts');
  expect(inspect(container({ options: { detach: false } })).Config).toMatchObject({
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
  });
});

test('HostConfig keeps what the flags said', () => {
  const mounts = [
    parseVolume('/tmp:/host:ro'),
    parseMount('type=bind,src=/var/tmp,dst=/m2,readonly'),
    parseTmpfs('/t:size=1m'),
  ];
  const { HostConfig } = inspect(
    container({
      options: {
        mounts,
        memory: 64 * 1024 ** 2,
        nanoCpus: 5e8,
        capAdd: ['NET_ADMIN'],
        publish: [
          { hostIp: '127.0.0.1', hostPort: 8443, containerPort: 443, protocol: 'tcp' },
          { hostIp: '', hostPort: 0, containerPort: 5555, protocol: 'tcp' },
        ],
        ulimits: [{ name: 'nofile', soft: 10, hard: 20 }],
        devices: [{ hostPath: '/dev/null', containerPath: '/dev/x', permissions: 'r' }],
        init: true,
        log: { driver: 'json-file', maxFiles: 2, given: { 'max-file': '2' } },
        sysctls: { 'net.core.somaxconn': '10' },
      },
    }),
  );
  expect(HostConfig).toMatchObject({
    Binds: ['/tmp:/host:ro'],
    Mounts: [{ Type: 'bind', Source: '/var/tmp', Target: '/m2', ReadOnly: true }],
    Tmpfs: { '/t': 'size=1m' },
    Memory: 67108864,
    MemorySwap: 134217728,
    NanoCpus: 500000000,
    CapAdd: ['NET_ADMIN'],
    CapDrop: null,
    PortBindings: {
      '443/tcp': [{ HostIp: '127.0.0.1', HostPort: '8443' }],
      '5555/tcp': [{ HostIp: '', HostPort: '' }],
    },
    Ulimits: [{ Name: 'nofile', Hard: 20, Soft: 10 }],
    Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/x', CgroupPermissions: 'r' }],
    LogConfig: { Type: 'json-file', Config: { 'max-file': '2' } },
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    NetworkMode: 'default',
    IpcMode: 'private',
    CgroupnsMode: 'private',
    Init: true,
    Sysctls: { 'net.core.somaxconn': '10' },
    PidsLimit: null,
  });
  const plain = inspect(container()).HostConfig;
  expect(plain).toMatchObject({ Binds: null, CapAdd: null, PortBindings: {}, Ulimits: null });
  for (const absent of ['Tmpfs', 'Mounts', 'Init', 'Sysctls']) expect(plain).not.toHaveProperty(absent);
});

test('the templates of answers find what they look for', () => {
  const of = container({ state: running([{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]) });
  const document = containerDocument(of, { layerPath: String, sizes: { written: 1, image: 2 } });
  const apply = (template: string): string => compileTemplate(template, (field) => field).apply(document);
  expect(apply('{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')).toBe('172.30.0.2');
  expect(apply('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}')).toBe('8080');
  expect(apply('{{.Config.Labels.nope}} {{.HostConfig.CapAdd}} {{.Config.Volumes}}')).toBe('<no value> [] map[]');
  expect(apply('{{.SizeRw}} {{.SizeRootFs}}')).toBe('1 3');
});
