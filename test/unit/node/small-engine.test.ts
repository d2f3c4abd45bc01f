/** The small engine's host (native/small-engine) and what of src/node needs it: with a program of its own, small-program.ts. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout } from '../../../scripts/images/paths.ts';
import { buildSmallEngine, joinEngines, quickjs, readSmallProgram } from '../../../scripts/small-engine.mjs';

const objects = await quickjs(checkout);
let directory = '';
let engine = '';

/** Runs a case by a line of sh, in which "$@" stands for engine and case. */
function run(args: readonly string[], line = '"$@"', env: Record<string, string> = {}) {
  const { status, signal, stdout, stderr } = spawnSync('sh', ['-c', line, 'sh', engine, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
  return { status: status ?? signal, stdout, stderr };
}

const printed = (stdout: string) => ({ status: 0, stdout, stderr: '' });

describe.skipIf(objects === undefined)('the small engine', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'small-engine.'));
    engine = join(directory, 'engine');
    const define = { TSRUN_ARCHITECTURE: '"any"', TSRUN_BUN_VERSION: '"0"' };
    const program = await readSmallProgram(checkout, define, new Set(), 'test/unit/node/small-program.ts');
    const names = { entryFileNames: '[name].js', chunkFileNames: '[name].js' };
    const { output } = await program.write({ dir: directory, format: 'es', ...names });
    await program.close();
    const chunks = output.filter(({ type }) => type === 'chunk');
    const monitor = join(directory, 'monitor');
    writeFileSync(monitor, '');
    const small = await buildSmallEngine({ checkout, objects: objects ?? '', directory, chunks, monitor });
    writeFileSync(engine, joinEngines(small, Buffer.alloc(0)), { mode: 0o755 });
  }, 60_000);

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('takes bytes that are no text as any decoder does, in arguments and in the environment', () => {
    const line = 'x=$(printf "\\200a\\355\\240\\200b\\360\\237c\\303"); BYTES="$x" constructor=v "$@" "$x" ""';
    const text = '\ufffda\ufffd\ufffd\ufffdb\ufffdc\ufffd';
    expect(run(['arguments'], line)).toEqual(printed(`${JSON.stringify([[text, ''], text, 'v'])}\n`));
  });

  it('does what promises are for between what is due', () => {
    const lines = ['timer one', 'after timer one', 'timer two', 'after timer two'];
    const immediates = lines.map((text) => text.replace('timer', 'immediate'));
    expect(run(['order'])).toEqual(printed(`${[...lines, ...immediates].join('\n')}\n`));
  });

  it('fires no timer that another has stopped or put off', () => {
    expect(run(['stopped'])).toEqual(printed('first\nlate one true\n'));
  });

  it('ends with an error that nobody has caught, and the listeners are told', () => {
    expect(run(['exception'])).toMatchObject({
      status: 125,
      stdout: 'exit 125\n',
      stderr: expect.stringMatching(/^tsrun: TypeError: of a callback\n {4}at /),
    });
    for (const name of ['rejection', 'rejection of an async function']) {
      const { status, stdout, stderr } = run([name]);
      expect([status, stderr.split('\n')[0]]).toEqual([125, 'tsrun: Error: nobody asks']);
      expect(stdout).toBe(name === 'rejection' ? 'exit 125\n' : '');
    }
  });

  it('lets a rejection pass that somebody asks for before anything else is due', () => {
    expect(run(['rejection that is asked for'])).toEqual(printed('asked for\nrejected,rejected\n'));
  });

  it('ends where nothing is left, and the listeners are told', () => {
    expect(run(['end'])).toEqual(printed('exit 0\n'));
  });

  it.each(['8192', '1024', '512', 'unlimited'])('throws where the stack of %s KiB ends', (size) => {
    expect(run(['stack overflow'], `ulimit -s ${size}; "$@"`)).toEqual(
      printed('stack overflow\nstack overflow\n100\n'),
    );
  });

  it('says that there is not enough memory', () => {
    expect(run(['a large buffer'], 'ulimit -v 100000; "$@"')).toEqual(printed('out of memory\n'));
    const failed = { status: 125, stdout: '', stderr: 'tsrun: out of memory\n' };
    expect(run(['all memory'], 'ulimit -v 100000; "$@"')).toEqual(failed);
    const { status, stderr } = run(['end'], 'ulimit -v 5000; "$@"');
    expect([status, stderr]).toEqual([
      125,
      expect.stringMatching(/^tsrun: (cannot map the program .*|out of memory)\n$/),
    ]);
  });

  it('takes the memory back of what refers to itself', () => {
    expect(run(['garbage'])).toEqual(printed('true true\n'));
  });

  it('hears a signal once, however often one listens', () => {
    expect(run(['signals'])).toEqual(printed('signals 1\n'));
  });

  it('leaves a signal what it was where it cannot listen', () => {
    expect(run(['signals without descriptors'], 'ulimit -n 16; "$@"')).toMatchObject({
      stdout: 'EMFILE 0\n',
      status: 143,
    });
  });

  it('waits without a turn', () => {
    expect(run(['pause'])).toEqual(printed('true\n'));
  });

  it('starts processes with the descriptors and signals that they shall have', () => {
    const before = 'exec 9</dev/null; trap "" HUP; ';
    // Whoever runs the tests may have others open.
    const descriptors = run([], `${before} ls /proc/self/fd`).stdout;
    const signals = `SigBlk:\t${'0'.repeat(16)}\nSigIgn:\t${'0'.repeat(15)}1\n`;
    expect(run(['spawn', '/bin/sh'], `${before} "$@"`)).toEqual(
      printed(`false\n${signals}${descriptors}/\nended true\n`),
    );
    expect(run(['spawn', '/nowhere'])).toEqual(printed('true\n'));
    expect(run(['spawn', '/bin/sh'], 'ulimit -n 5; "$@"')).toEqual(printed('true\n'));
  });

  it('runs processes to their end', () => {
    const sh = (script: string, line?: string) => {
      const { status, stdout } = run(['spawnSync', 'sh', '-c', script], line);
      return status === 0 ? JSON.parse(stdout) : status;
    };
    expect(sh('echo out; echo err >&2; exit 3')).toEqual([3, 'out\n', 'err\n', null]);
    expect(sh('kill -9 $$')).toEqual([null, '', '', null]);
    expect(sh('exec sleep 100')).toEqual([null, '', '', 'ETIMEDOUT']);
    expect(sh('head -c 300000 /dev/zero | tr "\\0" x')[1]).toHaveLength(300_000);
    expect(sh('', 'ulimit -n 6; "$@"')).toEqual([null, null, null, 'EMFILE']);
    expect(run(['spawnSync with input'])).toEqual(printed('0 true\n0\n'));
    expect(run(['spawnSync', 'no-such-program'])).toEqual(printed('[null,null,null,"ENOENT"]\n'));
  });
});
