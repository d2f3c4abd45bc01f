import './host.ts';
import { posix as real } from 'node:path';
import { expect, test } from 'vitest';
import { outcome } from './beside-node.ts';

const own = await import('../../../src/node/path.ts');

type Any = (...args: unknown[]) => unknown;

/** Both on the same arguments; what differs is kept, for one expectation of them all. */
class Comparison {
  readonly wrong: unknown[] = [];

  of(name: keyof typeof own.posix, ...args: unknown[]): void {
    const [expected, found] = [real, own.posix].map((path) => outcome('\0', () => (path[name] as Any)(...args)));
    if (JSON.stringify(found) !== JSON.stringify(expected)) this.wrong.push({ name, args, found, expected });
  }
}

/** All paths of up to five pieces. */
function paths(): string[] {
  const pieces = ['/', '.', '..', 'a', 'b.ts', '//'];
  let all = [''];
  const found = [''];
  for (let length = 1; length <= 5; length++) {
    all = all.flatMap((path) => pieces.map((piece) => path + piece));
    found.push(...all);
  }
  return found;
}

test('is what node:path is', () => {
  const all = paths();
  const comparison = new Comparison();
  for (const [index, path] of all.entries()) {
    for (const name of ['normalize', 'dirname', 'basename', 'extname', 'resolve', 'isAbsolute'] as const) {
      comparison.of(name, path);
    }
    comparison.of('basename', path, '.ts');
    comparison.of('basename', path, path.slice(-3));
    // Every path meets some others.
    for (let step = 1; step < 3; step++) {
      const other = all[(index * 31 + step * 977) % all.length] ?? '';
      comparison.of('join', path, other);
      comparison.of('resolve', path, other);
      comparison.of('resolve', '/x/y', path, other);
      comparison.of('relative', path, other);
      comparison.of('join', '/x', path, '', other);
    }
  }
  expect(comparison.wrong.slice(0, 5)).toEqual([]);
});

test('refuses what is no text, as node:path does', () => {
  const comparison = new Comparison();
  const functions = ['normalize', 'dirname', 'basename', 'resolve', 'isAbsolute', 'join'] as const;
  for (const wrong of [undefined, null, 5, true, {}, [], Buffer.alloc(1)]) {
    for (const name of functions) comparison.of(name, wrong);
    comparison.of('join', 'a', wrong, 'b');
    comparison.of('resolve', 'a', wrong);
    comparison.of('relative', wrong, 'a');
    comparison.of('relative', 'a', wrong);
    if (wrong !== undefined) comparison.of('basename', 'a', wrong);
  }
  comparison.of('join');
  comparison.of('resolve');
  expect(comparison.wrong).toEqual([]);
});
