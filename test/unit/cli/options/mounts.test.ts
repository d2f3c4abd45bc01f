import { describe, expect, test } from 'vitest';
import {
  mountsOf,
  parseMount,
  parseMountFields,
  parseTmpfs,
  parseVolume,
  splitCsv,
} from '../../../../src/cli/options/mounts.ts';

describe('-v', () => {
  test.each<[string, object]>([
    ['/a:/b', { type: 'bind', source: '/a', target: '/b', readOnly: false, propagation: '', createSource: true }],
    ['/a:/b:ro', { type: 'bind', readOnly: true, mode: 'ro' }],
    ['/a:/b:rw', { readOnly: false, mode: 'rw' }],
    ['/a:/b:ro,z', { readOnly: true, mode: 'ro,z' }],
    ['/a:/b:rslave,ro', { readOnly: true, propagation: 'rslave' }],
    ['./sub:/b', { type: 'bind', source: `${process.cwd()}/sub` }],
    ['.:/b', { type: 'bind', source: process.cwd() }],
    ['..:/b', { type: 'bind' }],
    ['data:/b', { type: 'volume', source: 'data', target: '/b' }],
    ['data:/b:nocopy,z', { type: 'volume', source: 'data', mode: 'nocopy,z', volume: { noCopy: true } }],
    ['/b', { type: 'volume', source: '', target: '/b' }],
  ])('%s', (text, expected) => {
    expect(parseVolume(text)).toMatchObject({ ...expected, origin: { flag: 'volume', text } });
  });

  test.each([
    ['/a:', 'invalid spec: /a:: empty section between colons'],
    [':/b', 'invalid spec: :/b: empty section between colons'],
    ['/a:/b:ro:x', "invalid volume specification: '/a:/b:ro:x'"],
    ['/a:b', 'invalid mount config for type "bind": invalid mount path: \'b\' mount path must be absolute'],
    ['/a:/', "destination can't be '/'"],
    ['/a:/x/..', "destination can't be '/'"],
    ['/a:/b:xx', 'invalid mode: xx'],
    ['/a:/b:/c', 'invalid mode: /c'],
    ['/a:/b:ro,rw', 'invalid mode: ro,rw'],
    ['a1:/b:nocopy,nocopy', 'invalid mode: nocopy,nocopy'],
    [
      '/a:/b:nocopy',
      'invalid volume specification: \'/a:/b:nocopy\': invalid mount config for type "bind": field VolumeOptions must not be specified',
    ],
    ['data:/b:rslave', 'invalid mount config for type "volume": field BindOptions must not be specified'],
    ['d:/b', 'create d: volume name is too short'],
    ['a/b:/b', 'create a/b: "a/b" includes invalid characters for a local volume name'],
    ['foo', "invalid mount path: 'foo' mount path must be absolute"],
  ])('%s is refused', (text, message) => {
    expect(() => parseVolume(text)).toThrow(message);
  });
});

describe('--mount', () => {
  test.each<[string, object]>([
    ['type=bind,src=/a,dst=/b', { type: 'bind', source: '/a', target: '/b', readOnly: false, createSource: false }],
    ['type=bind,source=/a,target=/b,readonly', { readOnly: true }],
    ['type=bind,src=/a,destination=/b,ro=true', { readOnly: true }],
    ['type=bind,src=/a,dst=/b,readonly=false', { readOnly: false }],
    ['type=bind,src=/a,dst=/b,bind-propagation=rshared', { propagation: 'rshared' }],
    ['type=bind,src=/a,dst=/b,bind-nonrecursive', { nonRecursive: true }],
    ['type=bind,src=/a,dst=/b,bind-recursive=disabled', { nonRecursive: true }],
    ['type=bind,"src=/a,b",dst=/c', { source: '/a,b', target: '/c' }],
    ['type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1770', { tmpfsSize: 64 * 1024 ** 2, tmpfsMode: 0o1770 }],
    ['type=tmpfs,dst=/t', { type: 'tmpfs', source: '', target: '/t' }],
    ['src=data,dst=/d', { type: 'volume', source: 'data' }],
    ['dst=/d', { type: 'volume', source: '' }],
    ['src=data,dst=/d,volume-nocopy', { volume: { noCopy: true } }],
    [
      'src=data,dst=/d,volume-driver=local,volume-label=a=b,volume-label=c,volume-opt=type=nfs,volume-opt=o=addr=::1',
      { volume: { driver: 'local', labels: { a: 'b', c: '' }, options: { type: 'nfs', o: 'addr=::1' } } },
    ],
  ])('%s', (text, expected) => {
    expect(parseMount(text)).toMatchObject({ ...expected, origin: { flag: 'mount', text } });
  });

  test.each([
    ['foo', "invalid field 'foo' must be a key=value pair"],
    ['type=bind', 'target is required'],
    ['type=,dst=/a', 'type is required'],
    ['type=bind,src=/a,dst=/b,bar=1', "unexpected key 'bar' in 'bar=1'"],
    ['type=bind,src=/a,dst=/b,readonly=x', 'invalid value for readonly: x'],
    ['type=tmpfs,dst=/a,tmpfs-size=foo', 'invalid value for tmpfs-size: foo'],
    ['type=tmpfs,dst=/a,tmpfs-mode=9', 'invalid value for tmpfs-mode: 9'],
    ['type=bind,src=/a,dst=/b,bind-propagation=foo', 'invalid propagation mode: foo'],
    ['dst=/b,volume-nocopy=x', 'invalid value for volume-nocopy: x'],
    ['type=bind,src=/a,dst=/b,volume-nocopy', "cannot mix 'volume-*' options with mount type 'bind'"],
    ['type=tmpfs,dst=/b,bind-propagation=slave', "cannot mix 'bind-*' options with mount type 'tmpfs'"],
  ])('%s is no --mount', (text, message) => {
    expect(() => parseMountFields(text)).toThrow(message);
  });

  test.each([
    ['type=foo,dst=/a', 'invalid mount config for type "foo": mount type unknown'],
    ['type=bind,src=/a,dst=b', "invalid mount path: 'b' mount path must be absolute"],
    ['type=bind,dst=/b', 'field Source must not be empty'],
    ['type=tmpfs,src=/a,dst=/b', 'field Source must not be specified'],
    ['src=/a,dst=/b', 'create /a: "/a" includes invalid characters for a local volume name'],
    ['type=bind,src=/a,dst=/', "destination can't be '/'"],
  ])('%s is refused', (text, message) => {
    expect(() => parseMount(text)).toThrow(message);
  });

  test('fields of CSV', () => {
    expect(splitCsv('a,b=c')).toEqual(['a', 'b=c']);
    expect(splitCsv('"a,b",c')).toEqual(['a,b', 'c']);
    expect(splitCsv('"say ""hi"""')).toEqual(['say "hi"']);
    expect(splitCsv('a,')).toEqual(['a', '']);
    expect(splitCsv('')).toEqual(['']);
  });
});

describe('--tmpfs', () => {
  test('options go to the kernel, as far as it knows them', () => {
    expect(parseTmpfs('/t:size=1m,noexec,ro')).toMatchObject({
      type: 'tmpfs',
      target: '/t',
      readOnly: true,
      tmpfsOptions: ['size=1m', 'noexec'],
      mode: 'size=1m,noexec,ro',
    });
    expect(parseTmpfs('/t')).toMatchObject({ readOnly: false, tmpfsOptions: [] });
    expect(() => parseTmpfs('/t:foo')).toThrow('invalid tmpfs option ["foo"]');
    expect(() => parseTmpfs('t')).toThrow("invalid mount path: 't' mount path must be absolute");
  });
});

test('two mounts cannot have one place', () => {
  expect(() => mountsOf(['/a:/x'], [], ['/x/'])).toThrow('Duplicate mount point: /x');
  // The same twice is one, as in docker.
  expect(mountsOf(['/a:/x', '/a:/x'], [], [])).toHaveLength(1);
  expect(() => mountsOf(['/a:/x', '/b:/x'], [], [])).toThrow('Duplicate mount point: /x');
  // An anonymous volume yields instead.
  expect(() => mountsOf(['/x', '/x', '/a:/x'], [], [])).not.toThrow();
  expect(mountsOf(['/a:/x'], ['type=tmpfs,dst=/y'], ['/z']).map((mount) => mount.target)).toEqual(['/x', '/y', '/z']);
});
