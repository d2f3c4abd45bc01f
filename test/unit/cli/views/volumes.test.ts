import { expect, test } from 'vitest';
import { compileVolumeFilter } from '../../../../src/cli/views/volume-filter.ts';
import { volumeDocument, volumeRow } from '../../../../src/cli/views/volume-row.ts';
import type { Volume } from '../../../../src/container/volumes/store.ts';

function volume(name: string, labels: Record<string, string> = {}): Volume {
  return {
    record: {
      version: 1,
      name,
      driver: 'local',
      created: '2026-11-27T10:59:04.123Z',
      labels,
      options: { type: 'tmpfs', device: 'tmpfs' },
      anonymous: false,
    },
    directory: `/root/volumes/${name}`,
    mountPoint: `/root/volumes/${name}/_data`,
  };
}

const all = [volume('data', { tier: 'db', a: '' }), volume('cache', { tier: 'web' }), volume('old')];

test.each([
  [['name=a'], 'data cache'],
  [['name=da', 'name=ol'], 'data old'],
  [['label=tier'], 'data cache'],
  [['label=tier=db', 'label=a'], 'data'],
  [['driver=local', 'name=old'], 'old'],
  [['driver=nfs'], ''],
  [['dangling=true'], 'cache old'],
  [['dangling=0'], 'data'],
  [[], 'data cache old'],
])('volume ls --filter %j', (filters, names) => {
  const matches = compileVolumeFilter(filters, (name) => name === 'data');
  expect(
    all
      .filter(matches)
      .map(({ record }) => record.name)
      .join(' '),
  ).toBe(names);
});

test("filters that are none have docker's words", () => {
  expect(() => compileVolumeFilter(['foo=1'], () => false)).toThrow("Invalid filter 'foo'");
  expect(() => compileVolumeFilter(['dangling=x'], () => false)).toThrow("Invalid filter 'dangling=[x]'");
});

test('what is shown of a volume', () => {
  expect(volumeRow(volume('v', { b: '2', a: '1' }))).toMatchObject({
    Driver: 'local',
    Labels: 'a=1,b=2',
    Links: 'N/A',
    Mountpoint: '/root/volumes/v/_data',
    Name: 'v',
    Scope: 'local',
    Size: 'N/A',
  });
  expect(volumeDocument(volume('v'))).toMatchObject({ CreatedAt: '2026-11-27T10:59:04Z', Driver: 'local', Name: 'v' });
});
