import { expect, test } from 'vitest';
import { findCommand, groups, sortedCommands } from '../../../src/cli/commands.ts';
import type { Flag } from '../../../src/cli/flag.ts';
import { renderCommandHelp, renderFlags, renderGroupHelp, renderMainHelp, wrapText } from '../../../src/cli/help.ts';

const flags: readonly Flag[] = [
  { name: 'quiet', short: 'q', type: 'bool', description: 'Only IDs' },
  { name: 'filter', short: 'f', type: 'filter', description: 'A text that is too long for the line that it begins on' },
  { name: 'last', short: 'n', type: 'int', description: 'Newest', shownDefault: '-1' },
  { name: 'secret', type: 'bool', description: 'Never seen', hidden: true },
];

test('options stand in two columns, sorted, with their defaults', () => {
  expect(renderFlags(flags, 60)).toBe(
    [
      '  -f, --filter filter   A text that is too long for the',
      '                        line that it begins on',
      '  -n, --last int        Newest (default -1)',
      '  -q, --quiet           Only IDs',
    ].join('\n'),
  );
});

test('text breaks at spaces, and where it says so', () => {
  expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrapText('one\ntwo three', 80)).toEqual(['one', 'two three']);
  expect(wrapText('unbreakable', 3)).toEqual(['unbreakable']);
});

test('the help of a command names it as it was called, and its other names', async () => {
  const entry = findCommand('container ls');
  if (entry === undefined) throw new Error('no container ls');
  const text = renderCommandHelp('tsrun container ls', entry, await entry.load(), 80);
  expect(text.split('\n').slice(0, 8)).toEqual([
    '',
    'Usage:  tsrun container ls [OPTIONS]',
    '',
    'List containers',
    '',
    'Aliases:',
    '  tsrun container ps, tsrun container list, tsrun container ls, tsrun ps',
    '',
  ]);
  expect(text).toContain('\nOptions:\n  -a, --all  ');
});

test('no line of any help is wider than the terminal', async () => {
  for (const entry of sortedCommands()) {
    const text = renderCommandHelp(`tsrun ${entry.names[0]}`, entry, await entry.load(), 80);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThan(100);
  }
});

test('the main help lists every command once, without those that are for tsrun itself', () => {
  const text = renderMainHelp(flags, groups, sortedCommands(), 80);
  expect(text).toMatch(/\n {2}ps {2,}List containers\n/);
  expect(text).toContain('\n  container   Manage containers\n');
  expect(text).not.toContain('reap');
  expect(text).not.toContain('__complete');
});

test('a group lists what it has', () => {
  const container = groups.find(({ name }) => name === 'container');
  if (container === undefined) throw new Error('no group of that name');
  const text = renderGroupHelp(container, sortedCommands());
  expect(text).toMatch(/^\nUsage: {2}tsrun container COMMAND\n\nManage containers\n\nCommands:\n {2}\w+ {2,}/);
  expect(text).toMatch(/\n {2}ls +List containers\n/);
  expect(text).not.toContain('images');
});
