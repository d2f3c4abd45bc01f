/**
 * Programs: what encode.ts writes the machine takes; what has been changed it takes only where every offset in it is good.
 * A second opinion is written here, and both must agree. The machine's source runs under the sanitizers of gcc.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodeProgram,
  headerSize,
  magic,
  none,
  operationSize,
  relocationSize,
  version,
} from '../../src/program/encode.ts';
import { type Argument, ProgramBuilder } from '../../src/program/program.ts';
import { randomNumbers } from '../fixtures/archives.ts';
import { mutate } from './mutate.ts';
import { holds, type Target } from './target.ts';

/** `well_formed` of native/machine.c, from its description in native/program.h. */
export function isWellFormed(bytes: Buffer): boolean {
  if (bytes.length < headerSize) return false;
  const word = (at: number): number => bytes.readUInt32LE(at);
  const [operations, relocations] = [word(8), word(12)];
  const [operationAt, relocationAt, memoryAt] = [word(16), word(20), word(24)];
  if (word(0) !== magic || word(4) !== version || bytes.readBigUInt64LE(32) !== BigInt(bytes.length)) return false;
  if ([operationAt, relocationAt, memoryAt].some((offset) => offset % 8 !== 0) || operationAt < headerSize)
    return false;
  if (operationAt + operations * operationSize > relocationAt) return false;
  if (relocationAt + relocations * relocationSize > memoryAt || memoryAt > bytes.length) return false;
  const memory = BigInt(bytes.length - memoryAt);
  const inside = (offset: bigint, width: bigint): boolean => offset <= memory && width <= memory - offset;
  for (let at = relocationAt; at < relocationAt + relocations * relocationSize; at += relocationSize) {
    if (!inside(BigInt(word(at)), 8n) || !inside(BigInt(word(at + 4)), 0n)) return false;
  }
  for (let index = 0; index < operations; index++) {
    const at = operationAt + index * operationSize;
    for (let k = 0; k < 6; k++) {
      const kind = bytes[at + 4 + k] ?? 0;
      if (kind > 3) return false;
      const width = [0n, 0n, 4n, 8n][kind] ?? 0n;
      if (kind !== 0 && !inside(bytes.readBigUInt64LE(at + 40 + k * 8), width)) return false;
    }
    const store = bytes[at + 11] ?? 0;
    if ((bytes[at + 10] ?? 0) > 2 || ![0, 4, 8].includes(store)) return false;
    if (!inside(BigInt(word(at + 24)), BigInt(store))) return false;
    const branch = word(at + 28);
    if (branch !== none && (branch <= index || branch >= operations)) return false;
  }
  return word(40) === none || BigInt(word(40)) <= memory;
}

/** A program of calls that mean nothing. */
function program(random: () => number): Buffer {
  const below = (count: number): number => Math.floor(random() * count);
  const b = new ProgramBuilder();
  const slots = Array.from({ length: 1 + below(4) }, (_, index) => b.slot(`slot ${index}`));
  const label = b.label();
  const calls = 1 + below(12);
  for (let index = 0; index < calls; index++) {
    const args = Array.from({ length: below(7) }, (): Argument => {
      const slot = slots[below(slots.length)];
      return (
        [
          below(2 ** 31),
          BigInt(below(2 ** 31)) << 20n,
          b.text(`text ${below(9)}`),
          b.reserve(below(64), 'r'),
          slot ?? 0,
        ][below(5)] ?? 0
      );
    });
    const store = random() < 0.4 ? slots[below(slots.length)] : undefined;
    b.call(index === calls - 1 ? 'end' : 'getpid', args, {
      title: 'x',
      ...(store === undefined ? {} : { store }),
      ...(random() < 0.2 ? { branch: label } : {}),
      tolerate: ['EPERM', 'ENOENT'].slice(0, below(3)) as ('EPERM' | 'ENOENT')[],
    });
  }
  b.mark(label);
  b.call('fail', [], { title: 'fail' });
  b.pointers([b.text('a'), b.text('b')], 'pointers');
  return encodeProgram(b.build({ errorFd: 4, ...(random() < 0.5 ? { config: b.reserve(16, 'config') } : {}) }));
}

let directory: string | undefined;
let checker = '';

const source = (name: string): string => join(import.meta.dirname, '../../test/fuzz', name);

function build(): void {
  if (checker !== '') return;
  directory = mkdtempSync(join(tmpdir(), 'fuzz-program.'));
  checker = join(directory, 'checker');
  const flags = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Wno-unused-function'];
  execFileSync('gcc', [...flags, '-o', checker, source('checker.c')]);
}

function close(): void {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  directory = undefined;
  checker = '';
}

/** Both opinions of each input. */
function compare(inputs: readonly Buffer[]): void {
  const framed = inputs.flatMap((bytes) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bytes.length);
    return [size, bytes];
  });
  const { status, stdout, stderr } = spawnSync(checker, { input: Buffer.concat(framed), maxBuffer: 1 << 24 });
  holds(status === 0, `the machine has read or written where nothing is:\n${stderr.toString().slice(0, 2000)}`);
  const expected = inputs.map((bytes) => (isWellFormed(bytes) ? '1' : '0')).join('');
  const differs = [...expected].findIndex((verdict, index) => stdout[index] !== verdict.charCodeAt(0));
  holds(differs < 0, `opinions differ on ${inputs[differs]?.toString('hex')}`);
}

/** So many programs go through the checker at once: starting it takes longer than all of them. */
const batch = 400;

/** The input is what the batch is made from. */
const programTarget: Target = {
  name: 'program',
  words: ['\xff\xff\xff\xff', '\0\0\0\0', '\x08\0\0\0'],
  seeds: () => {
    build();
    return [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')];
  },
  run(input) {
    const random = randomNumbers(input.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, input.length));
    const sound = Array.from({ length: 8 }, () => program(random));
    for (const bytes of sound) holds(isWellFormed(bytes), 'encode.ts has written a program that is not well formed');
    const inputs = Array.from({ length: batch }, (_, index) => {
      const bytes = sound[index % sound.length] ?? Buffer.alloc(0);
      if (index < sound.length) return bytes;
      const changed = mutate(bytes, sound, programTarget.words, random);
      // Mostly of the size that it says: else nearly all would end there.
      if (random() < 0.8 && changed.length >= 40) changed.writeBigUInt64LE(BigInt(changed.length), 32);
      return changed;
    });
    compare(inputs);
  },
  close,
};

/** The input is a program. What leads further into the machine's check is found by coverage, where clang is there. */
const machineTarget: Target = {
  name: 'machine',
  words: programTarget.words,
  seeds: () => {
    build();
    return [program(randomNumbers(1))];
  },
  run: (input) => compare([input]),
  /** libFuzzer begins with what encode.ts writes; what it has kept as interesting is compared with the second opinion. */
  guided(seconds, seed, corpus) {
    build();
    const work = mkdtempSync(join(tmpdir(), 'fuzz-machine.'));
    try {
      const fuzzer = join(work, 'fuzzer');
      const flags = ['-O1', '-g', '-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'];
      const built = spawnSync('clang', [...flags, '-Wno-unused-function', '-o', fuzzer, source('coverage.c')]);
      if (built.status !== 0) return undefined;
      const grown = join(work, 'corpus');
      mkdirSync(grown);
      const random = randomNumbers(seed);
      for (let index = 0; index < 32; index++) writeFileSync(join(grown, `seed-${index}`), program(random));
      const limits = [`-max_total_time=${seconds}`, `-seed=${seed}`, '-max_len=8192', '-print_final_stats=1'];
      const places = [`-artifact_prefix=${work}/found-`, grown, ...(existsSync(corpus) ? [corpus] : [])];
      const { status, stderr } = spawnSync(fuzzer, [...limits, ...places], { maxBuffer: 1 << 26 });
      const found = readdirSync(work).find((name) => name.startsWith('found-'));
      if (found !== undefined)
        return { tried: 0, input: readFileSync(join(work, found)), error: stderr.toString().slice(-4000) };
      holds(status === 0, `libFuzzer has ended with ${status}: ${stderr.toString().slice(-1000)}`);
      const tried = Number(/number_of_executed_units:\s*(\d+)/.exec(stderr.toString())?.[1] ?? 0);
      for (const name of readdirSync(grown)) {
        const input = readFileSync(join(grown, name));
        try {
          compare([input]);
        } catch (error) {
          return { tried, input, error };
        }
      }
      return { tried };
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  },
  guide: 'clang with libFuzzer: apt install clang libclang-rt-14-dev',
  close,
};

export const programTargets: readonly Target[] = [programTarget, machineTarget];
