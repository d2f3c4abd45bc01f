/** `ps --filter`: docker's filters. Filters of one name are alternatives, labels all hold, filters of several names too. */

import { isUp } from '../../container/active.ts';
import { attachmentsOf } from '../../container/endpoints.ts';
import { matchesLabels } from '../../container/labels.ts';
import type { Container } from '../../container/record.ts';
import { TsrunError } from '../../error.ts';
import { parseFilter } from '../flag.ts';
import { networkNames, portBindings } from './container-row.ts';
import { parsePort } from './ports.ts';

/** The filters of `ps`, and the values of two of them. */
export const containerFilters: ReadonlySet<string> = new Set(
  'ancestor before exited expose health id is-task isolation label name network publish since status volume'.split(' '),
);
export const containerStates: ReadonlySet<string> = new Set(
  'created restarting running removing paused exited dead'.split(' '),
);
export const healthStates: ReadonlySet<string> = new Set('starting healthy unhealthy none'.split(' '));
/** With one of these the containers that do not run are looked at too. */
const filtersOfAll = ['status', 'exited', 'before', 'since'];

function usage(message: string): TsrunError {
  return new TsrunError('USAGE', message);
}

export interface FilterContext {
  /** A container by name or id; undefined: there is none. */
  find: (text: string) => Container | undefined;
  /** The id of an image by name or id; undefined: there is none. */
  imageId: (text: string) => string | undefined;
}

/** All values of the filters, by name. Throws `USAGE` with docker's words. */
export function parseFilters(texts: readonly string[], known: ReadonlySet<string>): Map<string, string[]> {
  const filters = new Map<string, string[]>();
  for (const text of texts) {
    if (text === '') continue;
    const { name, value } = parseFilter(text);
    if (!known.has(name)) throw usage(`Invalid filter '${name}'`);
    filters.set(name, [...(filters.get(name) ?? []), value]);
  }
  return filters;
}

type Test = (container: Container) => boolean;

export interface ContainerFilter {
  /** Containers that do not run are wanted too. */
  all: boolean;
  matches: Test;
}

/** Compiles the values of --filter. Throws `USAGE`, `NOT_FOUND`. */
export function compileContainerFilter(texts: readonly string[], context: FilterContext): ContainerFilter {
  const filters = parseFilters(texts, containerFilters);
  const tests: Test[] = [];
  for (const [name, values] of filters) tests.push(compileOne(name, values, context));
  return {
    all: filtersOfAll.some((name) => filters.has(name)),
    matches: (container) => tests.every((test) => test(container)),
  };
}

function compileOne(name: string, values: readonly string[], context: FilterContext): Test {
  switch (name) {
    case 'label':
      return ({ record }) => matchesLabels(record.labels, values);
    case 'before':
    case 'since':
      return byTime(name, values, context);
    case 'publish':
    case 'expose':
      return byPort(name, values);
    default: {
      const tests = values.map((value) => compileValue(name, value, context));
      return (container) => tests.some((test) => test(container));
    }
  }
}

function compileValue(name: string, value: string, context: FilterContext): Test {
  switch (name) {
    case 'id':
      return ({ record }) => record.id.startsWith(value);
    case 'name':
      return byName(value);
    case 'status':
      if (!containerStates.has(value)) throw usage(`Invalid filter 'status=${value}'`);
      return ({ state }) => state.status === value;
    case 'exited': {
      if (!/^-?\d+$/.test(value)) throw usage(`strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
      const code = Number(value);
      return ({ state }) => state.status === 'exited' && state.exitCode === code;
    }
    case 'health':
      if (!healthStates.has(value)) throw usage(`Unrecognised filter value for health: ${value}`);
      return ({ state }) => (state.health?.Status ?? 'none') === value;
    case 'ancestor': {
      const id = context.imageId(value);
      return ({ record }) => record.image.id === id;
    }
    case 'network':
      return (container) =>
        networkNames(container).includes(value) ||
        attachmentsOf(container.state).some(({ network, networkId }) => network === value || networkId === value);
    case 'volume':
      return ({ record }) =>
        record.mounts.some((mount) => [mount.name, mount.source, mount.destination].includes(value));
    case 'is-task':
      return () => !/^(1|true)$/i.test(value);
    default:
      return () => true;
  }
}

/** Docker takes the value for a regular expression, with the slash before the name or without it. */
function byName(value: string): Test {
  let pattern: RegExp;
  try {
    pattern = new RegExp(value, 'u');
  } catch {
    return () => false;
  }
  return ({ record }) => pattern.test(record.name) || pattern.test(`/${record.name}`);
}

function byTime(name: 'before' | 'since', values: readonly string[], { find }: FilterContext): Test {
  const others = values.map((value) => {
    const other = find(value);
    if (other === undefined) throw new TsrunError('NOT_FOUND', `no such container ${value}`);
    return other.record;
  });
  return ({ record }) =>
    others.every((other) =>
      record.id === other.id
        ? false
        : name === 'before'
          ? record.created < other.created
          : record.created > other.created,
    );
}

function byPort(name: 'publish' | 'expose', values: readonly string[]): Test {
  const wanted = values.map((value) => {
    const [range = '', protocol = 'tcp'] = value.split('/');
    const [from = '', to = from] = range.split('-');
    for (const port of [from, to]) {
      if (!/^\d+$/.test(port)) {
        throw usage(
          `error while looking up for ${name} ${value}: strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`,
        );
      }
    }
    return { from: Number(from), to: Number(to), protocol };
  });
  const fits = (port: number, protocol: string): boolean =>
    wanted.some((range) => range.protocol === protocol && port >= range.from && port <= range.to);
  if (name === 'expose') {
    return ({ record }) =>
      [...record.exposedPorts.map(parsePort), ...record.options.publish].some(({ containerPort, protocol }) =>
        fits(containerPort, protocol),
      );
  }
  return (container) => {
    const published = isUp(container.state)
      ? portBindings(container).map((port) => ({ port: port.host?.port, protocol: port.protocol }))
      : container.record.options.publish.map((port) => ({ port: port.hostPort, protocol: port.protocol }));
    return published.some(({ port, protocol }) => port !== undefined && fits(port, protocol));
  };
}
