/** What the tests of attacks have in common: hostile images, a program that attacks, a secret of the host. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tsrun, tsrunOk } from './tsrun.ts';

/** A directory of the host with a file that no container may see. */
export class Host {
  readonly directory = mkdtempSync('/var/tmp/tsrun-attack.');
  readonly secret = join(this.directory, 'secret');
  readonly secretText = 'only for the host';
  readonly #images: string[] = [];

  constructor() {
    writeFileSync(this.secret, this.secretText);
  }

  /** busybox, changed by a shell script in its root. Returns its name. */
  async image(name: string, change: string): Promise<string> {
    const root = join(this.directory, `root-${name}`);
    mkdirSync(root);
    await tsrunOk(['create', '--name', 'image-source', 'busybox', 'true']);
    await tsrunOk(['export', '-o', join(this.directory, 'base.tar'), 'image-source']);
    await tsrunOk(['rm', 'image-source']);
    execFileSync('tar', ['xf', '../base.tar'], { cwd: root });
    execFileSync('sh', ['-c', `set -e; ${change}`], { cwd: root });
    execFileSync('tar', ['cf', '../changed.tar', '.'], { cwd: root });
    await tsrunOk(['import', join(this.directory, 'changed.tar'), name]);
    this.#images.push(name);
    return name;
  }

  /** Compiles a static C program; returns its path. */
  compile(name: string, body: string): string {
    const path = join(this.directory, name);
    writeFileSync(`${path}.c`, body);
    execFileSync('gcc', ['-static', '-w', '-o', path, `${path}.c`]);
    return path;
  }

  async remove(): Promise<void> {
    for (const image of this.#images) await tsrun(['rmi', '-f', image]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** `tsrun run --rm` of a shell script, without a network. */
export function attack(flags: readonly string[], script: string, image = 'busybox'): ReturnType<typeof tsrun> {
  return tsrun(['run', '--rm', '--network=none', ...flags, image, 'sh', '-c', script]);
}
