import './host.ts';
import real from 'node:os';
import { expect, test } from 'vitest';

const own = await import('../../../src/node/os.ts');

test('tells of the machine what Node tells', () => {
  for (const name of [
    ...([
      'type',
      'hostname',
      'release',
      'version',
      'machine',
      'arch',
      'platform',
      'homedir',
      'tmpdir',
      'totalmem',
    ] as const),
    'availableParallelism' as const,
  ]) {
    expect([name, own[name]()]).toEqual([name, real[name]()]);
  }
  expect(own.constants.signals).toEqual(real.constants.signals);
  expect(own.freemem()).toBeGreaterThan(0);
  expect(own.freemem()).toBeLessThanOrEqual(own.totalmem());
  expect([own.EOL, own.devNull]).toEqual([real.EOL, real.devNull]);
});

test('finds the home and the place for temporary files as Node does', () => {
  const names = ['HOME', 'TMPDIR', 'TMP', 'TEMP'];
  const before = names.map((name) => [name, process.env[name]] as const);
  try {
    for (const environment of [{}, { HOME: '/h' }, { TMPDIR: '/t/' }, { TMP: '/' }, { TEMP: '/a//', TMP: '' }]) {
      for (const name of names) delete process.env[name];
      Object.assign(process.env, environment);
      expect([environment, own.homedir(), own.tmpdir()]).toEqual([environment, real.homedir(), real.tmpdir()]);
    }
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});
