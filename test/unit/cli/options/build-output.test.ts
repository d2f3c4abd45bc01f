import { expect, test } from 'vitest';
import { parseOutput } from '../../../../src/cli/options/build-output.ts';

test.each([
  ['out', { kind: 'directory', path: 'out' }],
  ['a=b', { kind: 'directory', path: 'a=b' }],
  ['-', { kind: 'tar', path: '' }],
  ['type=local,dest=out', { kind: 'directory', path: 'out' }],
  ['type=tar', { kind: 'tar', path: '' }],
  ['"dest=a,b.tar",type=tar', { kind: 'tar', path: 'a,b.tar' }],
  ['type=oci,dest=-', { kind: 'archive', format: 'oci-archive', path: '', names: [] }],
  [
    'type=docker,dest=x,name=a:1,rewrite-timestamp=true',
    { kind: 'archive', format: 'docker-archive', path: 'x', names: ['a:1'] },
  ],
  ['type=docker', { kind: 'image', names: [], push: false }],
  ['type=image,"name=a,b",push=true', { kind: 'image', names: ['a', 'b'], push: true }],
  ['type=registry', { kind: 'image', names: [], push: true }],
])('--output %s', (text, expected) => expect(parseOutput(text)).toEqual(expected));

test.each([
  ['', 'the value of --output is empty'],
  ['dest=x,a=b', 'type is required for output: dest=x,a=b'],
  ['type=local', 'dest is required for local output'],
  ['type=image,dest=x', 'dest is not for output of type=image'],
  ['type=image,push=perhaps', 'push is true or false'],
  ['type=tar,compression=zstd', '--output has no compression=zstd for type=tar'],
  ['type=cacheonly', 'there is no output of type "cacheonly"'],
])('--output %j is refused', (text, message) => expect(() => parseOutput(text)).toThrow(message));
