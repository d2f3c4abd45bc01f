import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readLive, wayOut } from '../../../src/container/endpoints.ts';
import { editHosts, withBlock, withOwnNames, withoutOwnNames } from '../../../src/container/network-names.ts';

const base = '127.0.0.1\tlocalhost\n172.31.0.2\tabc\n';

test('the block is put behind what is there, replaced in its place, and taken out without a trace', () => {
  const one = withBlock(base, ['172.31.0.3\tweb']);
  expect(one).toMatch(/^127\.0\.0\.1\tlocalhost\n172\.31\.0\.2\tabc\n# tsrun: .*\n172\.31\.0\.3\tweb\n# tsrun: end\n$/);
  const edited = `${one}10.0.0.1\tmine\n`;
  const two = withBlock(edited, ['172.31.0.4\tdb', '172.31.0.5\tcache']);
  expect(two.match(/# tsrun/g)).toHaveLength(2);
  expect(two).toContain('172.31.0.4\tdb\n172.31.0.5\tcache\n');
  expect(two).not.toContain('web');
  expect(two.endsWith('# tsrun: end\n10.0.0.1\tmine\n')).toBe(true);
  expect(withBlock(two, [])).toBe(`${base}10.0.0.1\tmine\n`);
});

test('a file that does not end its last line, or lost the end of the block, is mended', () => {
  expect(withBlock('127.0.0.1\tlocalhost', ['1.2.3.4\ta'])).toMatch(/^127\.0\.0\.1\tlocalhost\n# tsrun/);
  const cut = withBlock(base, ['1.2.3.4\ta']).replace('# tsrun: end\n', '');
  expect(withBlock(cut, [])).toBe(base);
});

test('own names stand before the block, and go with their address', () => {
  const content = withOwnNames(withBlock(base, ['1.2.3.4\ta']), 'web.example', ['10.0.0.7', 'fd00::7']);
  expect(content).toMatch(/abc\n10\.0\.0\.7\tweb\.example web\nfd00::7\tweb\.example web\n# tsrun/);
  expect(withoutOwnNames(content, ['10.0.0.7', 'fd00::7'])).toBe(withBlock(base, ['1.2.3.4\ta']));
  expect(withoutOwnNames('172.31.0.22\tx\n', ['172.31.0.2'])).toBe('172.31.0.22\tx\n');
});

test('a hosts file that its container made enormous is left alone, and stops nobody', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hosts.'));
  try {
    writeFileSync(join(directory, 'hosts'), base);
    editHosts(directory, (content) => withBlock(content, ['1.2.3.4\ta']));
    expect(statSync(join(directory, 'hosts')).size).toBeGreaterThan(base.length);
    truncateSync(join(directory, 'hosts'), 8 * 2 ** 30);
    editHosts(directory, () => {
      throw new Error('it was read');
    });
    expect(statSync(join(directory, 'hosts')).size).toBe(8 * 2 ** 30);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a damaged record of networks counts as none', () => {
  const directory = mkdtempSync(join(tmpdir(), 'live.'));
  try {
    for (const text of ['', '{}', '{"attachments":[null],"ports":[]}', '{"attachments":[{"network":1}],"ports":[]}']) {
      writeFileSync(join(directory, 'networks.json'), text);
      expect(readLive(directory)).toBeUndefined();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the way out is not an internal network, one with both families before others, then the first by name', () => {
  const four = (network: string) => ({ network });
  const six = (network: string) => ({ network, address6: 'fd00::2' });
  expect(wayOut([])).toBeUndefined();
  expect(wayOut([{ network: 'a', internal: true }])).toBeUndefined();
  expect(wayOut([four('b'), { network: 'a', internal: true }, four('c')])?.network).toBe('b');
  expect(wayOut([four('a'), six('z'), six('y')])?.network).toBe('y');
});

test('the highest --gw-priority comes before both of these, and not before what is internal', () => {
  const four = (network: string, gatewayPriority?: number) => ({
    network,
    ...(gatewayPriority === undefined ? {} : { gatewayPriority }),
  });
  expect(wayOut([four('a'), four('b', 1), { network: 'c', address6: 'fd00::2' }])?.network).toBe('b');
  expect(wayOut([four('a', -1), four('b')])?.network).toBe('b');
  expect(wayOut([{ ...four('a', 9), internal: true }, four('b', -9)])?.network).toBe('b');
});
