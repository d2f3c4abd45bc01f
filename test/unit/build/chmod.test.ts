import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ModeChange } from '../../../src/build/dockerfile/chmod.ts';

const texts = [
  ...[
    'u=rwX,go=rX',
    'a+x',
    '+x',
    '-w',
    '=r',
    'go=',
    'u+s',
    'g+s,o-rwx',
    '+t',
    'o+t',
    'u+t',
    'u=g',
    'o=u-w',
    'ug=rw,o=r',
  ],
  ...['a=X', 'u-x+X', '=rws', 'g=u,o=g', 'a-st', 'u=,g+rwxs', '755', '0640', '7'],
];
const modes = [0o644, 0o750, 0o4711, 0o1777, 0o2600, 0];

test('--chmod does what chmod(1) does with umask 0', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-chmod.'));
  try {
    for (const mode of modes) {
      writeFileSync(join(directory, `file-${mode.toString(8)}`), '');
      mkdirSync(join(directory, `directory-${mode.toString(8)}`));
    }
    const names = readdirSync(directory);
    const modeOf = (name: string): number => Number.parseInt(name.split('-')[1] ?? '', 8);
    // Octal digits leave what a directory has beyond permissions with chmod(1); docker sets what stands there.
    const isOther = (text: string, name: string): boolean =>
      /^\d/.test(text) && name.startsWith('d') && modeOf(name) > 0o777;
    const lines: string[] = [];
    for (const text of texts) {
      for (const name of names) chmodSync(join(directory, name), modeOf(name));
      execFileSync('sh', ['-c', 'umask 0; exec chmod -- "$@"', 'sh', text, ...names], { cwd: directory });
      for (const name of names) {
        if (isOther(text, name)) continue;
        lines.push(`${text} ${name}: ${(statSync(join(directory, name)).mode & 0o7777).toString(8)}`);
      }
    }
    const own = texts.flatMap((text) =>
      names
        .filter((name) => !isOther(text, name))
        .map((name) => {
          const mode = ModeChange.parse(text).apply(modeOf(name), name.startsWith('d'));
          return `${text} ${name}: ${mode.toString(8)}`;
        }),
    );
    expect(own).toEqual(lines);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.each(['', 'u', 'rwx', 'u=q', '888', '77777', 'u=rw,,g=r', 'u=ug', 'z+x'])('%j is refused', (text) => {
  expect(() => ModeChange.parse(text)).toThrow(`invalid chmod parameter: '${text}'`);
});
