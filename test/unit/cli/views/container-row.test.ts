import { describe, expect, test } from 'vitest';
import { toJson } from '../../../../src/cli/format/value.ts';
import { escapeControls } from '../../../../src/cli/output.ts';
import {
  containerCells,
  containerLine,
  containerRow,
  defaultColumns,
  ellipsis,
} from '../../../../src/cli/views/container-row.ts';
import { localTime, statusText } from '../../../../src/cli/views/status.ts';
import type { Container, ContainerState } from '../../../../src/container/record.ts';
import { container, id, running } from './container.ts';

const now = new Date('2026-11-23T23:57:28.000Z');

function row(of: Container, truncate = true): ReturnType<typeof containerRow> {
  return containerRow(of, {
    truncate,
    clean: (text) => escapeControls(text),
    imageName: ({ record }) => record.image.reference,
    sizes: () => ({ written: 5_000, image: 2_000_000 }),
    now,
  });
}

test('ports are not published on internal networks alone', () => {
  const state = running([{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]);
  const attachment = state.start?.network.attachment;
  if (attachment === undefined) throw new Error('no attachment');
  const exposedPorts = ['80/tcp'];
  const on = (...attachments: (typeof attachment)[]) =>
    row(container({ state: { ...state, attachments }, record: { exposedPorts } })).Ports;
  const closed = { ...attachment, internal: true };
  expect(on(closed)).toBe('');
  expect(on(closed, attachment)).toBe('0.0.0.0:8080->80/tcp');
});

test('the fields of a container that runs', () => {
  const web = container({
    state: running([{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]),
    record: { labels: { b: '', 'com.example.a': '1' }, exposedPorts: ['80/tcp', '443/tcp'] },
  });
  expect(row(web)).toMatchObject({
    ID: id.slice(0, 12),
    Names: 'web',
    Image: 'busybox',
    Command: '"sh -c \'echo hello; …"',
    RunningFor: 'About an hour ago',
    Status: 'Up About an hour',
    State: 'running',
    Ports: '443/tcp, 0.0.0.0:8080->80/tcp',
    Labels: 'b=,com.example.a=1',
    Networks: 'bridge',
    Mounts: '',
    LocalVolumes: '0',
    Size: '5kB (virtual 2MB)',
  });
  expect(row(web, false)).toMatchObject({ ID: id, Command: '"sh -c \'echo hello; sleep 1000\'"' });
});

test('a container that does not run shows no ports', () => {
  expect(row(container({ record: { exposedPorts: ['80/tcp'] } })).Ports).toBe('');
});

test('mounts are cut like names, and the tmpfs of --tmpfs is none', () => {
  const mount = { destination: '/x', mode: '', readWrite: true, propagation: '' };
  const long = '/a/very/long/path/on/the/host';
  const spec = {
    source: '',
    target: '/x',
    readOnly: false,
    propagation: '',
    createSource: false,
    nonRecursive: false,
    mode: '',
  } as const;
  const of = container({
    record: {
      mounts: [
        { type: 'bind', source: long, ...mount },
        { type: 'tmpfs', source: '', ...mount },
      ],
    },
    options: {
      mounts: [
        { type: 'bind', ...spec, origin: { flag: 'volume', text: '' } },
        { type: 'tmpfs', ...spec, origin: { flag: 'tmpfs', text: '' } },
      ],
    },
  });
  expect(row(of).Mounts).toBe('/a/very/long/p…');
  expect(row(of, false).Mounts).toBe(long);
});

test('nothing that comes from a container drives the terminal', () => {
  const evil = container({
    record: {
      labels: { a: '\x1b[2J\nroot', '\u009b31m': 'x' },
      process: { ...container().record.process, args: ['\x1b]0;pwned\x07', '\x1b[31m'] },
    },
  });
  const text = toJson(row(evil, false)) + Object.values(row(evil, false)).join(' ');
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  expect(row(evil).Labels).toBe('a=\\x1b[2J\\nroot,\\x9b31m=x');
  expect(row(evil, false).Command).toBe('"\\x1b]0;pwned\\a \\x1b[31m"');
});

describe('STATUS', () => {
  const state = (change: Partial<ContainerState>): ContainerState => ({ ...container().state, ...change });
  test.each<[Partial<ContainerState>, string]>([
    [{ status: 'created' }, 'Created'],
    [{ status: 'exited', exitCode: 3 }, 'Exited (3) 59 minutes ago'],
    [{ status: 'exited', exitCode: 255, finishedAt: undefined }, 'Exited (255)'],
    [{ status: 'running' }, 'Up About an hour'],
    [{ status: 'paused' }, 'Up About an hour (Paused)'],
    [{ status: 'running', unsupervised: true }, 'Up About an hour (unsupervised)'],
    [{ status: 'running', startedAt: '2026-11-23T23:57:27.900Z' }, 'Up Less than a second'],
    [{ status: 'dead' }, 'Dead'],
  ])('%j', (change, text) => {
    expect(statusText(state(change), now)).toBe(text);
  });
});

test('text that is too long ends in …', () => {
  expect(ellipsis('12345', 5)).toBe('12345');
  expect(ellipsis('123456', 5)).toBe('1234…');
  expect(ellipsis('🙂🙂🙂', 2)).toBe('🙂…');
});

test('times are those of the local zone', () => {
  const zone = process.env.TZ;
  try {
    process.env.TZ = 'UTC';
    expect(localTime('2026-11-23T22:57:29.5Z')).toBe('2026-11-23 22:57:29 +0000 UTC');
    process.env.TZ = 'America/New_York';
    expect(localTime('2026-11-23T22:57:29Z')).toBe('2026-11-23 17:57:29 -0500 EST');
    process.env.TZ = 'Asia/Yekaterinburg';
    expect(localTime('2026-11-23T22:57:29Z')).toBe('2026-11-24 03:57:29 +0500 +05');
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
  expect(localTime('')).toBe('');
});

test('the line that a list keeps is that of the row, at any time', () => {
  const up = running([{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]);
  const states: Partial<ContainerState>[] = [
    up,
    { ...up, health: { Status: 'starting', FailingStreak: 0, Log: [] } },
    { ...up, startedAt: undefined },
    { status: 'exited', exitCode: 3 },
    { status: 'exited', finishedAt: undefined },
    { status: 'exited', finishedAt: 'never' },
    { status: 'restarting', exitCode: 1 },
    { status: 'created' },
  ];
  const image = { id: 'sha256:1', reference: 'a\u001bb', layers: [] };
  for (const state of states) {
    for (const record of [{}, { created: 'never' }, { image }]) {
      const of = container({ state, record });
      // As the file of the cache has them.
      const cells = JSON.parse(JSON.stringify(containerCells(of, (each) => each.record.image.reference)));
      const line = defaultColumns.map((column) => row(of)[column]).join('\t');
      expect(containerLine(id, cells, now.getTime())).toBe(`${line}\n`);
    }
  }
});
