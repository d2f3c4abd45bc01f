import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { errno } from '../../../src/linux/errno.ts';
import { numberOf } from '../../../src/linux/syscalls.ts';
import * as encode from '../../../src/program/encode.ts';
import { type Program, ProgramBuilder } from '../../../src/program/program.ts';

/** Asks the C compiler for sizes, offsets and constants of native/program.h. */
function askHeader(expressions: readonly string[]): Map<string, number> {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-header-'));
  try {
    const lines = expressions.map((text) => `printf("%lld\\n", (long long)(${text}));`).join('\n');
    writeFileSync(
      join(directory, 'ask.c'),
      `#include <stddef.h>\n#include <stdio.h>\n#include "${resolve('native/program.h')}"\nint main(void) {\n${lines}\nreturn 0; }\n`,
    );
    execFileSync('cc', ['-o', join(directory, 'ask'), join(directory, 'ask.c')], { stdio: 'pipe' });
    const answers = execFileSync(join(directory, 'ask'), { encoding: 'utf8' }).trim().split('\n').map(Number);
    return new Map(expressions.map((text, index) => [text, answers[index] ?? Number.NaN]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** One operation with every field in use. */
function sample(): Program {
  const b = new ProgramBuilder();
  const label = b.label();
  const slot = b.slot('fd');
  const text = b.text('hello');
  b.enter('exec');
  b.call('openat', [-100, text, 0x80000, slot, 1n << 40n], {
    title: 'open',
    expect: { equals: -7 },
    tolerate: ['ENOENT', 'ENOTDIR'],
    retry: { errno: 'EAGAIN', times: 9 },
    store: slot,
    branch: label,
    remember: true,
  });
  const pointers = b.pointers([text], 'argv');
  b.mark(label);
  b.call('end', [], { title: 'end' });
  b.call('fail', [], { title: 'fail' });
  return b.build({ errorFd: 4, config: pointers });
}

test('the encoder writes every field where the C header has it', () => {
  const operation = [
    'number',
    'kind',
    'expect',
    'store_width',
    'tolerate',
    'retry_errno',
    'retry_count',
    'phase',
    'flags',
    'store',
    'branch',
    'expect_value',
    'argument',
  ];
  const header = [
    'magic',
    'version',
    'op_count',
    'reloc_count',
    'op_offset',
    'reloc_offset',
    'memory_offset',
    'error_fd',
    'size',
    'config_offset',
  ];
  const c = askHeader([
    'sizeof(struct program_header)',
    'sizeof(struct program_op)',
    'sizeof(struct program_reloc)',
    'PROGRAM_MAGIC',
    'PROGRAM_VERSION',
    'PROGRAM_NONE',
    'OP_END',
    'OP_FAIL',
    'OP_REMEMBER',
    'ARG_IMMEDIATE',
    'ARG_ADDRESS',
    'ARG_LOAD32',
    'EXPECT_EQUAL',
    ...operation.map((field) => `offsetof(struct program_op, ${field})`),
    ...header.map((field) => `offsetof(struct program_header, ${field})`),
  ]);
  const value = (text: string): number => c.get(text) ?? Number.NaN;
  const inHeader = (field: string): number => value(`offsetof(struct program_header, ${field})`);
  const inOperation = (field: string): number => value(`offsetof(struct program_op, ${field})`);
  expect(value('sizeof(struct program_header)')).toBe(encode.headerSize);
  expect(value('sizeof(struct program_op)')).toBe(encode.operationSize);
  expect(value('sizeof(struct program_reloc)')).toBe(encode.relocationSize);

  const program = sample();
  const bytes = encode.encodeProgram(program);
  expect(bytes.readUInt32LE(inHeader('magic'))).toBe(value('PROGRAM_MAGIC'));
  expect(bytes.readUInt32LE(inHeader('version'))).toBe(value('PROGRAM_VERSION'));
  expect(bytes.readUInt32LE(inHeader('op_count'))).toBe(3);
  expect(bytes.readUInt32LE(inHeader('reloc_count'))).toBe(1);
  expect(bytes.readInt32LE(inHeader('error_fd'))).toBe(4);
  expect(Number(bytes.readBigUInt64LE(inHeader('size')))).toBe(bytes.length);
  expect(bytes.readUInt32LE(inHeader('config_offset'))).toBe(program.configOffset);
  const at = bytes.readUInt32LE(inHeader('op_offset'));
  const memory = bytes.readUInt32LE(inHeader('memory_offset'));
  expect(bytes.readUInt32LE(at + inOperation('number'))).toBe(numberOf('openat'));
  expect([...bytes.subarray(at + inOperation('kind'), at + inOperation('kind') + 6)]).toEqual([
    value('ARG_IMMEDIATE'),
    value('ARG_ADDRESS'),
    value('ARG_IMMEDIATE'),
    value('ARG_LOAD32'),
    value('ARG_IMMEDIATE'),
    value('ARG_IMMEDIATE'),
  ]);
  expect(bytes[at + inOperation('expect')]).toBe(value('EXPECT_EQUAL'));
  expect(bytes.readBigInt64LE(at + inOperation('expect_value'))).toBe(-7n);
  expect(bytes[at + inOperation('store_width')]).toBe(4);
  expect(bytes.readUInt16LE(at + inOperation('tolerate'))).toBe(errno.ENOENT);
  expect(bytes.readUInt16LE(at + inOperation('tolerate') + 2)).toBe(errno.ENOTDIR);
  expect(bytes.readUInt16LE(at + inOperation('retry_errno'))).toBe(errno.EAGAIN);
  expect(bytes.readUInt16LE(at + inOperation('retry_count'))).toBe(9);
  expect(encode.phases[bytes.readUInt16LE(at + inOperation('phase'))]).toBe('exec');
  expect(bytes.readUInt16LE(at + inOperation('flags'))).toBe(value('OP_REMEMBER'));
  expect(bytes.readUInt32LE(at + inOperation('branch'))).toBe(1);
  expect(bytes.readBigInt64LE(at + inOperation('argument'))).toBe(-100n);
  expect(bytes.readBigInt64LE(at + inOperation('argument') + 32)).toBe(1n << 40n);
  const text = memory + Number(bytes.readBigUInt64LE(at + inOperation('argument') + 8));
  expect(bytes.toString('latin1', text, text + 6)).toBe('hello\0');
  expect(bytes.readInt32LE(memory + bytes.readUInt32LE(at + inOperation('store')))).toBe(-1);
  expect(bytes.readUInt32LE(at + value('sizeof(struct program_op)') + inOperation('number'))).toBe(value('OP_END'));
  expect(bytes.readUInt32LE(at + 2 * value('sizeof(struct program_op)') + inOperation('number'))).toBe(
    value('OP_FAIL'),
  );
});

test('a label that was never marked is found before anything runs', () => {
  const b = new ProgramBuilder();
  b.call('getpid', [], { title: 'nowhere', branch: b.label() });
  expect(() => encode.encodeProgram(b.build({ errorFd: -1 }))).toThrow(/"nowhere" branches/);
});

test('equal strings share one place, and memory grows without losing what it held', () => {
  const b = new ProgramBuilder();
  const first = b.text('same');
  const large = b.bytes(Buffer.alloc(100_000, 7), 'large');
  expect(b.text('same').offset).toBe(first.offset);
  const { memory } = b.build({ errorFd: -1 });
  expect(Buffer.from(memory).toString('latin1', first.offset, first.offset + 5)).toBe('same\0');
  expect(memory[large.offset + 99_999]).toBe(7);
});
