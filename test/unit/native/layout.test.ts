/** The C headers and the TypeScript that writes the same bytes must agree: a C program prints what the headers say. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { healthActions, healthConfigSize, healthProgram } from '../../../src/container/health.ts';
import {
  decodeSync,
  encodeMonitorConfig,
  fdFirstPort,
  fdTrace,
  type MonitorConfig,
  messageKinds,
  monitorConfigSize,
  monitorFlags,
  monitorVersion,
  restartPolicies,
} from '../../../src/container/monitor.ts';
import {
  attachFlags,
  controlKinds,
  controlMessageSize,
  exitedFlags,
  stopFlags,
} from '../../../src/container/monitor-control.ts';
import {
  encodeProgram,
  headerSize,
  magic,
  none,
  operationSize,
  relocationSize,
  traceSize,
  traceUntimedFilter,
  version,
} from '../../../src/program/encode.ts';
import { type Load, type Place, ProgramBuilder } from '../../../src/program/program.ts';
import { runOptions } from '../../fixtures/run-options.ts';

const native = join(import.meta.dirname, '../../../native');
const directory = mkdtempSync(join(tmpdir(), 'tsrun-layout-'));
let facts: Record<string, number> = {};

const fields: Record<string, string[]> = {
  program_header:
    'magic version op_count reloc_count op_offset reloc_offset memory_offset error_fd size config_offset trace_fd trace_flags'.split(
      ' ',
    ),
  program_op:
    'number kind expect store_width tolerate retry_errno retry_count phase flags store branch expect_value argument'.split(
      ' ',
    ),
  program_reloc: ['at', 'target'],
  program_trace: ['result', 'end'],
  program_error: ['kind', 'operation', 'phase', 'error'],
  monitor_config:
    'version flags pid stdin_fd stdout_fd stderr_fd reap_argv reap_envp port_count log_max_files detach_keys detach_keys_length rows columns restart_policy log_max_size restart_max journal event event_length'.split(
      ' ',
    ),
  health_config:
    'version target pid stdout_fd stderr_fd interval timeout start_period start_interval retries on_failure'.split(' '),
  control_message: ['kind', 'a', 'b', 'length'],
};
const constants =
  `PROGRAM_MAGIC PROGRAM_VERSION PROGRAM_NONE OP_END OP_FAIL OP_REMEMBER ARG_IMMEDIATE ARG_ADDRESS ARG_LOAD32 ARG_LOAD64
   EXPECT_ANY EXPECT_NOT_NEGATIVE EXPECT_EQUAL MESSAGE_CREATED MESSAGE_READY MESSAGE_MOUNTED MESSAGE_ERROR MESSAGE_STOP
   MONITOR_VERSION
   MONITOR_TTY MONITOR_STDIN MONITOR_STDIN_ONCE MONITOR_FOREGROUND MONITOR_LOG MONITOR_RECORD MONITOR_ATTACH_STDIN
   MONITOR_ATTACH_STDOUT MONITOR_ATTACH_STDERR CONTROL_RESIZE CONTROL_REAPED CONTROL_ATTACH CONTROL_HOLD_STDIN
   CONTROL_EXITED CONTROL_DETACHED CONTROL_BROKEN CONTROL_POLICY CONTROL_FREEZE CONTROL_CLAIM CONTROL_STOP
   STOP_MANUAL STOP_FINAL CONTROL_DONE EXITED_OOM EXITED_RESTARTS RESTART_NO RESTART_ON_FAILURE RESTART_ALWAYS
   RESTART_UNLESS_STOPPED HEALTH_NONE HEALTH_KILL HEALTH_RESTART FD_PROGRAM FD_SYNC FD_CONTROL FD_RESYNC FD_HEALTH
   FD_FIRST_PORT TRACE_UNTIMED_FILTER`.split(/\s+/);

beforeAll(() => {
  const lines = Object.entries(fields).flatMap(([struct, names]) => [
    `printf("sizeof ${struct} %zu\\n", sizeof(struct ${struct}));`,
    ...names.map((name) => `printf("${struct}.${name} %zu\\n", offsetof(struct ${struct}, ${name}));`),
  ]);
  lines.push(...constants.map((name) => `printf("${name} %lld\\n", (long long)${name});`));
  const source = `#include <stddef.h>\n#include <stdio.h>\n#include "monitor.h"\nint main(void)\n{\n${lines.join('\n')}\nreturn 0;\n}\n`;
  writeFileSync(join(directory, 'layout.c'), source);
  execFileSync('cc', ['-I', native, '-o', join(directory, 'layout'), join(directory, 'layout.c')]);
  const text = execFileSync(join(directory, 'layout'), { encoding: 'utf8' });
  facts = Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

function fact(name: string): number {
  const value = facts[name];
  if (value === undefined) throw new Error(`the header says nothing of ${name}`);
  return value;
}

const load = (offset: number): Load => ({ kind: 'load', offset, width: 4, label: '' });
const place = (offset: number, size = 8): Place => ({ kind: 'place', offset, size, label: '', isText: false });

test('sizes and numbers of a program are those of program.h', () => {
  expect(headerSize).toBe(fact('sizeof program_header'));
  expect(operationSize).toBe(fact('sizeof program_op'));
  expect(relocationSize).toBe(fact('sizeof program_reloc'));
  expect(magic).toBe(fact('PROGRAM_MAGIC'));
  expect(version).toBe(fact('PROGRAM_VERSION'));
  expect(none).toBe(fact('PROGRAM_NONE'));
});

test('every field of an operation is where the machine reads it', () => {
  const b = new ProgramBuilder();
  const target = b.label();
  const slot = b.slot('slot');
  const wide = b.field(b.reserve(8, 'wide'), 0, 8, 'wide');
  b.enter('mounts');
  b.call('openat2', [-100, b.text('name'), slot, wide, 5, 6], {
    title: 'all fields',
    expect: { equals: -7 },
    tolerate: ['EEXIST', 'EROFS'],
    retry: { errno: 'EAGAIN', times: 128 },
    store: wide,
    branch: target,
    remember: true,
  });
  b.call('end', [], { title: 'end' });
  b.mark(target);
  b.call('fail', [], { title: 'fail' });
  b.pointers([b.text('name')], 'argv');
  const bytes = encodeProgram(b.build({ errorFd: 4, config: place(8) }));

  const header = (name: string): number => bytes.readUInt32LE(fact(`program_header.${name}`));
  expect(header('magic')).toBe(fact('PROGRAM_MAGIC'));
  expect(header('version')).toBe(fact('PROGRAM_VERSION'));
  expect(header('op_count')).toBe(3);
  expect(header('reloc_count')).toBe(1);
  expect(header('error_fd')).toBe(4);
  expect(header('size')).toBe(bytes.length);
  expect(header('config_offset')).toBe(8);

  const at = header('op_offset');
  const offset = (name: string): number => at + fact(`program_op.${name}`);
  expect(bytes.readUInt32LE(offset('number'))).toBe(437);
  const kinds = ['IMMEDIATE', 'ADDRESS', 'LOAD32', 'LOAD64', 'IMMEDIATE', 'IMMEDIATE'].map((kind) =>
    fact(`ARG_${kind}`),
  );
  expect([...bytes.subarray(offset('kind'), offset('kind') + 6)]).toEqual(kinds);
  expect(bytes[offset('expect')]).toBe(fact('EXPECT_EQUAL'));
  expect(bytes.readBigInt64LE(offset('expect_value'))).toBe(-7n);
  expect(bytes[offset('store_width')]).toBe(8);
  expect(bytes.readUInt32LE(offset('store'))).toBe(wide.offset);
  expect(bytes.readUInt16LE(offset('tolerate'))).toBe(17);
  expect(bytes.readUInt16LE(offset('tolerate') + 2)).toBe(30);
  expect(bytes.readUInt16LE(offset('retry_errno'))).toBe(11);
  expect(bytes.readUInt16LE(offset('retry_count'))).toBe(128);
  expect(bytes.readUInt16LE(offset('flags'))).toBe(fact('OP_REMEMBER'));
  expect(bytes.readUInt32LE(offset('branch'))).toBe(2);
  expect(bytes.readBigInt64LE(offset('argument'))).toBe(-100n);
  expect(bytes.readBigInt64LE(offset('argument') + 16)).toBe(BigInt(slot.offset));
  expect(bytes.readUInt32LE(at + operationSize)).toBe(fact('OP_END'));
  expect(bytes.readUInt32LE(at + 2 * operationSize)).toBe(fact('OP_FAIL'));
});

test('every field of the configuration is where the monitor reads it', () => {
  const config: MonitorConfig = {
    tty: true,
    stdin: 'once',
    foreground: { stdin: true, stdout: true, stderr: true },
    log: { maxSize: 0x1_0000_0001, maxFiles: 3 },
    record: true,
    pid: load(100),
    stdinFd: load(104),
    stdoutFd: load(108),
    stderrFd: load(112),
    reap: { argv: place(120), envp: place(136) },
    portCount: 2,
    detachKeys: place(144, 5),
    size: { rows: 24, columns: 80 },
    restart: { name: 'on-failure', maximumRetryCount: 5 },
    journal: { path: place(152), event: place(160, 77) },
  };
  expect(monitorConfigSize).toBe(fact('sizeof monitor_config'));
  expect(monitorVersion).toBe(fact('MONITOR_VERSION'));
  const bytes = encodeMonitorConfig(config);
  const values: Record<string, number> = {
    version: monitorVersion,
    pid: 100,
    stdin_fd: 104,
    stdout_fd: 108,
    stderr_fd: 112,
    reap_argv: 120,
    reap_envp: 136,
    port_count: 2,
    log_max_files: 3,
    detach_keys: 144,
    detach_keys_length: 5,
    restart_policy: fact('RESTART_ON_FAILURE'),
    restart_max: 5,
    journal: 152,
    event: 160,
    event_length: 77,
  };
  for (const [name, value] of Object.entries(values)) {
    expect([name, bytes.readUInt32LE(fact(`monitor_config.${name}`))]).toEqual([name, value]);
  }
  expect(bytes.readUInt16LE(fact('monitor_config.rows'))).toBe(24);
  expect(bytes.readUInt16LE(fact('monitor_config.columns'))).toBe(80);
  expect(bytes.readBigUInt64LE(fact('monitor_config.log_max_size'))).toBe(0x1_0000_0001n);

  const all = [...Object.values(monitorFlags), ...Object.values(attachFlags)];
  expect(bytes.readUInt32LE(fact('monitor_config.flags'))).toBe(all.reduce((sum, flag) => sum | flag, 0));
  expect(monitorFlags).toEqual({
    tty: fact('MONITOR_TTY'),
    stdin: fact('MONITOR_STDIN'),
    stdinOnce: fact('MONITOR_STDIN_ONCE'),
    foreground: fact('MONITOR_FOREGROUND'),
    log: fact('MONITOR_LOG'),
    record: fact('MONITOR_RECORD'),
  });
  expect(attachFlags).toEqual({
    stdin: fact('MONITOR_ATTACH_STDIN'),
    stdout: fact('MONITOR_ATTACH_STDOUT'),
    stderr: fact('MONITOR_ATTACH_STDERR'),
  });
});

test('what a configuration does not name is NONE', () => {
  const bytes = encodeMonitorConfig({
    tty: false,
    stdin: 'none',
    foreground: undefined,
    log: undefined,
    record: false,
    pid: load(0),
    reap: undefined,
    portCount: 0,
    detachKeys: undefined,
  });
  for (const name of [
    'stdin_fd',
    'stdout_fd',
    'stderr_fd',
    'reap_argv',
    'reap_envp',
    'detach_keys',
    'journal',
    'event',
  ]) {
    expect(bytes.readUInt32LE(fact(`monitor_config.${name}`))).toBe(fact('PROGRAM_NONE'));
  }
  expect(bytes.readUInt32LE(fact('monitor_config.flags'))).toBe(0);
});

test('messages have the numbers and the form of the headers', () => {
  expect(controlMessageSize).toBe(fact('sizeof control_message'));
  expect(controlKinds).toEqual({
    resize: fact('CONTROL_RESIZE'),
    reaped: fact('CONTROL_REAPED'),
    attach: fact('CONTROL_ATTACH'),
    holdStdin: fact('CONTROL_HOLD_STDIN'),
    policy: fact('CONTROL_POLICY'),
    freeze: fact('CONTROL_FREEZE'),
    claim: fact('CONTROL_CLAIM'),
    stop: fact('CONTROL_STOP'),
    exited: fact('CONTROL_EXITED'),
    detached: fact('CONTROL_DETACHED'),
    broken: fact('CONTROL_BROKEN'),
    done: fact('CONTROL_DONE'),
  });
  expect(stopFlags).toEqual({ manual: fact('STOP_MANUAL'), final: fact('STOP_FINAL') });
  expect(exitedFlags).toEqual({ oom: fact('EXITED_OOM'), restarts: fact('EXITED_RESTARTS') });
  expect(restartPolicies).toEqual({
    no: fact('RESTART_NO'),
    'on-failure': fact('RESTART_ON_FAILURE'),
    always: fact('RESTART_ALWAYS'),
    'unless-stopped': fact('RESTART_UNLESS_STOPPED'),
  });
  expect(healthActions).toEqual({
    none: fact('HEALTH_NONE'),
    kill: fact('HEALTH_KILL'),
    restart: fact('HEALTH_RESTART'),
  });
  expect(fdFirstPort).toBe(fact('FD_FIRST_PORT'));
  expect(healthConfigSize).toBe(fact('sizeof health_config'));
  const message = Buffer.alloc(fact('sizeof program_error'));
  const say = (kind: string, a = 0): Buffer => {
    message.writeUInt32LE(fact(kind), 0);
    message.writeUInt32LE(a, 4);
    return message;
  };
  expect(messageKinds).toEqual({
    created: fact('MESSAGE_CREATED'),
    stop: fact('MESSAGE_STOP'),
    ready: fact('MESSAGE_READY'),
    mounted: fact('MESSAGE_MOUNTED'),
    error: fact('MESSAGE_ERROR'),
  });
  expect(decodeSync(say('MESSAGE_CREATED', 4711))).toEqual({ kind: messageKinds.created, words: [4711, 0, 0] });
  say('MESSAGE_ERROR', fact('PROGRAM_NONE'));
  message.writeUInt32LE(6, fact('program_error.phase'));
  message.writeInt32LE(-256, fact('program_error.error'));
  expect(fact('program_error.operation')).toBe(4);
  expect(decodeSync(message)).toEqual({ kind: messageKinds.error, words: [-1, 6, -256] });
  expect(() => decodeSync(say('PROGRAM_NONE'))).toThrow(/unknown/);
  expect(() => decodeSync(message.subarray(0, 8))).toThrow(/unknown/);
});

test('every field of a health check is where the monitor reads it', () => {
  const record = {
    healthcheck: { test: ['CMD', 'true'], interval: 1, timeout: 2, startPeriod: 3, startInterval: 4, retries: 5 },
    options: runOptions({
      health: { test: [], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0, onFailure: 'restart' },
    }),
  };
  const spec = { ociVersion: '1.1.0', process: { cwd: '/', user: { uid: 0, gid: 0 }, args: ['sleep'] } };
  const bytes = healthProgram(record, spec, { intoCgroup: false, seccomp: undefined });
  if (bytes === undefined) throw new Error('there is a check');
  const at =
    bytes.readUInt32LE(fact('program_header.memory_offset')) + bytes.readUInt32LE(fact('program_header.config_offset'));
  const field = (name: string): number => bytes.readUInt32LE(at + fact(`health_config.${name}`));
  expect(
    ['version', 'interval', 'timeout', 'start_period', 'start_interval', 'retries', 'on_failure'].map(field),
  ).toEqual([monitorVersion, 1, 2, 3, 4, 5, fact('HEALTH_RESTART')]);
  expect(new Set(['target', 'pid', 'stdout_fd', 'stderr_fd'].map(field)).size).toBe(4);
});

test('a program that is traced says where to, and what is noted has the form that is read', () => {
  const b = new ProgramBuilder();
  b.call('getpid', [], { title: 'pid' });
  const program = b.build({ errorFd: 4 });
  const plain = encodeProgram(program);
  expect(plain.readInt32LE(fact('program_header.trace_fd'))).toBe(0);
  const traced = encodeProgram({ ...program, trace: { fd: fdTrace, untimedFilter: true } });
  expect(traced.readInt32LE(fact('program_header.trace_fd'))).toBe(fact('FD_RESYNC'));
  expect(traced.readUInt32LE(fact('program_header.trace_flags'))).toBe(fact('TRACE_UNTIMED_FILTER'));
  expect(traceUntimedFilter).toBe(fact('TRACE_UNTIMED_FILTER'));
  expect(traceSize).toBe(fact('sizeof program_trace'));
  expect([fact('program_trace.result'), fact('program_trace.end')]).toEqual([0, 8]);
});
