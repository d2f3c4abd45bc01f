import { expect, test } from 'vitest';
import { findCommand, namesInGroup, sortedCommands } from '../../../src/cli/commands.ts';

test('every command loads, and says what it is', async () => {
  for (const entry of sortedCommands()) {
    const command = await entry.load();
    expect(entry.summary, entry.names[0]).toMatch(/^[A-Z].*[^.]$/);
    expect(command.description, entry.names[0]).toMatch(/^[A-Z].*[^.]$/s);
    expect(command.run, entry.names[0]).toBeTypeOf('function');
  }
});

test('no flag and no letter is there twice in a command, and none hides --help', async () => {
  for (const entry of sortedCommands()) {
    const { flags } = await entry.load();
    const names = flags.map((flag) => flag.name);
    const letters = flags.flatMap((flag) => flag.short ?? []);
    expect(new Set(names).size, entry.names[0]).toBe(names.length);
    expect(new Set(letters).size, entry.names[0]).toBe(letters.length);
    expect(names).not.toContain('help');
    for (const { aliasOf } of flags) if (aliasOf !== undefined) expect(names).toContain(aliasOf);
  }
});

test('no name belongs to two commands', () => {
  const names = sortedCommands().flatMap((entry) => entry.names);
  expect(new Set(names).size).toBe(names.length);
});

test.each([
  ['ps', 'ps'],
  ['container ls', 'ps'],
  ['image ls', 'images'],
  ['image pull', 'pull'],
  ['image rm', 'rmi'],
  ['container run', 'run'],
  ['system info', 'info'],
])('%s is %s', (alias, name) => {
  expect(findCommand(alias)?.names[0]).toBe(name);
});

test('what does not exist is not found', () => {
  expect(findCommand('ls')).toBeUndefined();
  expect(findCommand('container images')).toBeUndefined();
  expect(namesInGroup('image')).toEqual(expect.arrayContaining(['ls', 'rm', 'pull', 'inspect']));
});
