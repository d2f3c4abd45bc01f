/** One line of `network ls`, and its filters. */
import { matchesLabels } from '../../container/labels.ts';
import type { LiveContainer } from '../../container/network-names.ts';
import { membersOf } from '../../container/networks.ts';
import { TsrunError } from '../../error.ts';
import { isPredefined, type NetworkRecord } from '../../network/records.ts';
import type { Struct, Value } from '../format/value.ts';
import { parseFilters } from './container-filter.ts';
import { localTime } from './status.ts';

/** The titles of columns, by field. */
export const networkTitles: Readonly<Record<string, Value>> = {
  CreatedAt: 'CREATED AT',
  Driver: 'DRIVER',
  ID: 'NETWORK ID',
  IPv4: 'IPV4',
  IPv6: 'IPV6',
  Internal: 'INTERNAL',
  Label: (name: Value) => (String(name).split('.').at(-1) ?? '').replace(/[-_]/g, ' '),
  Labels: 'LABELS',
  Name: 'NAME',
  Scope: 'SCOPE',
};

/** The row of a network. `clean` makes text of users harmless where it is shown. */
export function networkRow(record: NetworkRecord, truncate: boolean, clean: (text: string) => string): Struct {
  const { id, name, created, driver, labels, internal, ipv6 } = record;
  return {
    CreatedAt: localTime(created),
    Driver: driver,
    ID: truncate ? id.slice(0, 12) : id,
    IPv4: 'true',
    IPv6: String(ipv6 !== undefined),
    Internal: String(internal),
    Label: (label: Value) => clean(Object.hasOwn(labels, String(label)) ? (labels[String(label)] ?? '') : ''),
    Labels: clean(
      Object.entries(labels)
        .map(([label, value]) => `${label}=${value}`)
        .sort()
        .join(','),
    ),
    Name: clean(name),
    Scope: 'local',
  };
}

const filterNames = new Set(['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);

/** Compiles the values of --filter; `live` tells of running containers, and is asked where a filter needs them. */
export function compileNetworkFilter(
  texts: readonly string[],
  live: () => LiveContainer[],
): (record: NetworkRecord) => boolean {
  const tests = [...parseFilters(texts, filterNames)].map(([name, values]) => compileOne(name, values, live));
  return (record) => tests.every((test) => test(record));
}

function compileOne(
  name: string,
  values: readonly string[],
  live: () => LiveContainer[],
): (record: NetworkRecord) => boolean {
  switch (name) {
    case 'label':
      return ({ labels }) => matchesLabels(labels, values);
    case 'driver':
      return ({ driver }) => values.includes(driver);
    case 'scope':
      return () => values.includes('local');
    case 'id':
      return ({ id }) => values.some((value) => id.startsWith(value));
    case 'name':
      return (record) => values.some((value) => record.name.includes(value));
    case 'type':
      for (const value of values) {
        if (value !== 'builtin' && value !== 'custom') {
          throw new TsrunError('USAGE', `invalid filter: 'type'='${value}'`, { hint: 'there are builtin and custom' });
        }
      }
      return (record) => values.includes(isPredefined(record) ? 'builtin' : 'custom');
    default: {
      const [value = ''] = values;
      if (!/^(true|1|false|0)$/.test(value)) {
        throw new TsrunError(
          'USAGE',
          'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
        );
      }
      const wanted = value === 'true' || value === '1';
      const containers = live();
      return (record) => (!isPredefined(record) && membersOf(containers, record).length === 0) === wanted;
    }
  }
}
