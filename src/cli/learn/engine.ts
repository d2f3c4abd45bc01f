/**
 * How TypeScript of the course and of learners is run. The executable has an engine that takes it as it is (Bun); under Node
 * esbuild makes JavaScript of it first, which a checkout has.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { TsrunError } from '../../error.ts';
import { isExecutable } from '../../linux/artifacts.ts';
import { compilerSettings } from './course.ts';

/** Makes files runnable until it is disposed of. */
export class Engine {
  readonly #home: string;
  readonly #directory: string;

  constructor(home: string) {
    this.#home = home;
    if (isExecutable) {
      this.#directory = mkdtempSync(join(tmpdir(), 'tsrun-learn.'));
      writeFileSync(join(this.#directory, 'tsconfig.json'), JSON.stringify(compilerSettings(home)));
    } else {
      // From this depth src/linux/artifacts.ts finds what is in dist/.
      mkdirSync(join(home, 'dist'), { recursive: true });
      this.#directory = mkdtempSync(join(home, 'dist/learn.'));
    }
  }

  /** The words that run `file`, arguments to follow. Throws `USAGE` for a file that is not TypeScript. */
  async command(file: string): Promise<string[]> {
    if (!isExecutable) return [process.execPath, '--enable-source-maps', await this.module(file)];
    const settings = `--tsconfig-override=${join(this.#directory, 'tsconfig.json')}`;
    return [process.execPath, '--no-install', settings, file];
  }

  /** A path that a running lesson can import `file` by. */
  async module(file: string): Promise<string> {
    if (isExecutable) return file;
    const output = join(this.#directory, `${basename(file, '.ts')}.${Math.random().toString(36).slice(2)}.mjs`);
    const { build } = await loadEsbuild();
    try {
      await build({
        entryPoints: [file],
        outfile: output,
        bundle: true,
        platform: 'node',
        format: 'esm',
        target: 'node20',
        external: ['koffi'],
        alias: { 'tsrun/lessons': join(this.#home, 'lessons'), tsrun: join(this.#home, 'src') },
        sourcemap: 'inline',
        logLevel: 'silent',
      });
    } catch (error) {
      throw new TsrunError('USAGE', `cannot read "${file}" as TypeScript`, {
        hint: error instanceof Error ? error.message.trim() : undefined,
      });
    }
    return output;
  }

  /** What a command of `command()` needs in its environment; a crash of lesson 1 is nobody else's business. */
  get environment(): Record<string, string> {
    return isExecutable ? { BUN_BE_BUN: '1', DO_NOT_TRACK: '1', BUN_ENABLE_CRASH_REPORTING: '0' } : {};
  }

  dispose(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

interface Esbuild {
  build(options: object): Promise<unknown>;
}

async function loadEsbuild(): Promise<Esbuild> {
  const name = 'esbuild';
  try {
    return (await import(name)) as Esbuild;
  } catch (cause) {
    throw new TsrunError(
      'UNSUPPORTED',
      'under Node lessons are run from a checkout with its development dependencies',
      {
        cause,
        hint: 'run `npm ci` in the checkout, or use the executable dist/tsrun, which needs neither Node nor a checkout',
      },
    );
  }
}
