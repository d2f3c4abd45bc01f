import { expect, test } from 'vitest';
import {
  checkVolumeDriver,
  checkVolumeName,
  checkVolumeOptions,
  volumeMount,
} from '../../../../src/container/volumes/options.ts';

test.each([
  ['x', 'create x: volume name is too short, names should be at least two alphanumeric characters'],
  [
    'bad name',
    'create bad name: "bad name" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  ],
  ['../up', 'includes invalid characters'],
  ['.hidden', 'includes invalid characters'],
  ['a'.repeat(256), 'volume name is too long'],
])('%s is no name of a volume', (name, message) => {
  expect(() => checkVolumeName(name)).toThrow(message);
});

test("options are those of docker's driver", () => {
  expect(() => checkVolumeOptions('v', {})).not.toThrow();
  expect(() => checkVolumeOptions('v', { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' })).not.toThrow();
  expect(() => checkVolumeOptions('v', { foo: 'bar' })).toThrow('create v: invalid option: "foo"');
  expect(() => checkVolumeOptions('v', { o: 'bind' })).toThrow('create v: missing required option: "device"');
  expect(() => checkVolumeOptions('v', { device: '/x' })).toThrow('create v: missing required option: "type"');
  expect(() => checkVolumeOptions('v', { size: '1g' })).toThrow('create v: quota size requested but no quota support');
  expect(() => checkVolumeDriver('v', 'foo')).toThrow(
    'create v: error looking up volume plugin foo: plugin "foo" not found',
  );
});

test.each<[string, Record<string, string> | undefined, boolean, object]>([
  ['a plain volume', undefined, false, { type: 'bind', source: '/v/_data', options: ['rbind', 'rprivate'] }],
  ['read-only', undefined, true, { type: 'bind', source: '/v/_data', options: ['rbind', 'rro', 'rprivate'] }],
  [
    'a directory of the host',
    { type: 'none', device: '/srv', o: 'bind,noexec' },
    false,
    { type: 'bind', source: '/srv', options: ['bind', 'noexec', 'rprivate'] },
  ],
  [
    'a tmpfs',
    { type: 'tmpfs', device: 'tmpfs', o: 'size=100m,uid=1000' },
    true,
    { type: 'tmpfs', source: 'tmpfs', options: ['size=100m', 'uid=1000', 'ro'] },
  ],
  ['without o', { type: 'tmpfs', device: 'none' }, false, { type: 'tmpfs', source: 'none', options: [] }],
])('%s as a mount', (_, options, readOnly, mount) => {
  expect(volumeMount('/v/_data', options, { destination: '/d', readOnly })).toEqual({ destination: '/d', ...mount });
});
