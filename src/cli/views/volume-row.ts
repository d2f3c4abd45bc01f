/** What `volume ls` and `volume inspect` show of a volume. */
import type { Volume } from '../../container/volumes/store.ts';
import { type Struct, stringMap, type Value } from '../format/value.ts';

export const volumeTitles: Readonly<Record<string, Value>> = {
  Driver: 'DRIVER',
  Label: (name: Value) => (String(name).split('.').at(-1) ?? '').replace(/[-_]/g, ' '),
  Labels: 'LABELS',
  Links: 'LINKS',
  Mountpoint: 'MOUNTPOINT',
  Name: 'VOLUME NAME',
  Scope: 'SCOPE',
  Size: 'SIZE',
};

/** The row of a volume; links and sizes are `system df`'s, as in docker. */
export function volumeRow({ record, mountPoint }: Volume): Struct {
  const { labels } = record;
  return {
    Driver: record.driver,
    Label: (name: Value) => (Object.hasOwn(labels, String(name)) ? (labels[String(name)] ?? '') : ''),
    Labels: Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join(','),
    Links: 'N/A',
    Mountpoint: mountPoint,
    Name: record.name,
    Scope: 'local',
    Size: 'N/A',
  };
}

/** Docker's document of a volume (API 1.41, Volume). */
export function volumeDocument({ record, mountPoint }: Volume): Struct {
  return {
    CreatedAt: `${record.created.slice(0, 19)}Z`,
    Driver: record.driver,
    Labels: stringMap(record.labels),
    Mountpoint: mountPoint,
    Name: record.name,
    Options: stringMap(record.options),
    Scope: 'local',
  };
}
