import { afterEach, expect, test } from 'vitest';
import { configPaths, rootDirectory, stateDirectory } from '../../../src/linux/paths.ts';

const names = ['TSRUN_ROOT', 'TSRUN_STATE', 'XDG_CONFIG_HOME', 'HOME'] as const;
const before = names.map((name) => [name, process.env[name]] as const);

function set(name: (typeof names)[number], value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

afterEach(() => {
  for (const [name, value] of before) set(name, value);
});

test('data and state have their places, and other ones on demand', () => {
  set('TSRUN_ROOT', undefined);
  set('TSRUN_STATE', '');
  expect([rootDirectory(), stateDirectory()]).toEqual(['/var/lib/tsrun', '/run/tsrun']);
  set('TSRUN_ROOT', '/x/../y');
  set('TSRUN_STATE', 'relative');
  expect([rootDirectory(), stateDirectory()]).toEqual(['/y', `${process.cwd()}/relative`]);
});

test("settings are the system's and then the user's", () => {
  set('XDG_CONFIG_HOME', undefined);
  set('HOME', '/home/someone');
  expect(configPaths()).toEqual(['/etc/tsrun/config.json', '/home/someone/.config/tsrun/config.json']);
  set('XDG_CONFIG_HOME', '/settings');
  expect(configPaths()[1]).toBe('/settings/tsrun/config.json');
  set('XDG_CONFIG_HOME', undefined);
  set('HOME', undefined);
  expect(configPaths()).toEqual(['/etc/tsrun/config.json']);
});
