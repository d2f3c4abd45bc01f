import { expect, test } from 'vitest';
import { compileContainerFilter } from '../../../../src/cli/views/container-filter.ts';
import type { Container } from '../../../../src/container/record.ts';
import { container, id, imageId, running } from './container.ts';

const web = container({
  state: running([{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]),
  record: { labels: { tier: 'front', on: '' }, created: '2026-01-02T00:00:00.000Z' },
});
const job = container({
  record: {
    id: 'b'.repeat(64),
    name: 'job',
    created: '2026-01-01T00:00:00.000Z',
    exposedPorts: ['99/udp'],
    mounts: [{ type: 'bind', source: '/src', destination: '/dst', mode: '', readWrite: true, propagation: '' }],
  },
  options: { network: 'none' },
  state: { exitCode: 3 },
});
const all = [web, job];

function names(...texts: string[]): string[] {
  const filter = compileContainerFilter(texts, {
    find: (text) => all.find(({ record }) => record.name === text),
    imageId: (text) => (text === 'busybox' ? imageId : undefined),
  });
  return all.filter((each: Container) => filter.matches(each)).map(({ record }) => record.name);
}

test.each<[string[], string[]]>([
  [[], ['web', 'job']],
  [['name=w'], ['web']],
  [['name=^/web$'], ['web']],
  [['name=^eb'], []],
  [['name=('], []],
  [
    ['name=web', 'name=job'],
    ['web', 'job'],
  ],
  [[`id=${id.slice(0, 5)}`], ['web']],
  [[`id=${id.slice(1, 5)}`], []],
  [['label=tier'], ['web']],
  [['label=tier=front', 'label=on'], ['web']],
  [['label=tier=front', 'label=off'], []],
  [['label=tier=back'], []],
  [['status=exited'], ['job']],
  [
    ['status=running', 'status=exited'],
    ['web', 'job'],
  ],
  [['exited=3'], ['job']],
  [['exited=0'], []],
  [['ancestor=busybox'], ['web', 'job']],
  [['ancestor=debian'], []],
  [['before=web'], ['job']],
  [['since=job'], ['web']],
  [['network=bridge'], ['web']],
  [['network=none'], ['job']],
  [['publish=8080'], ['web']],
  [['publish=8000-9000/tcp'], ['web']],
  [['publish=80'], []],
  [['publish=8080/udp'], []],
  [['expose=99/udp'], ['job']],
  [['volume=/dst'], ['job']],
  [['volume=/src'], ['job']],
  [['health=none'], ['web', 'job']],
  [['health=healthy'], []],
  [['name=web', 'status=exited'], []],
])('%j', (texts, expected) => {
  expect(names(...texts)).toEqual(expected);
});

test.each([
  ['foo=bar', "Invalid filter 'foo'"],
  ['status=foo', "Invalid filter 'status=foo'"],
  ['health=foo', 'Unrecognised filter value for health: foo'],
  ['exited=foo', 'strconv.Atoi: parsing "foo": invalid syntax'],
  ['before=nope', 'no such container nope'],
  ['publish=foo', 'error while looking up for publish foo: strconv.ParseUint: parsing "foo": invalid syntax'],
])('%s is refused', (text, message) => {
  expect(() => names(text)).toThrow(message);
});

test('filters of states look at containers that do not run', () => {
  const context = { find: () => job, imageId: () => undefined };
  expect(compileContainerFilter(['status=exited'], context).all).toBe(true);
  expect(compileContainerFilter(['exited=0'], context).all).toBe(true);
  expect(compileContainerFilter(['before=job'], context).all).toBe(true);
  expect(compileContainerFilter(['name=x'], context).all).toBe(false);
});
