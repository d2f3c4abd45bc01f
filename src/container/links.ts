/**
 * `--link`: the name and the address of another container in this one's /etc/hosts, and on the default network variables of
 * its ports and of its environment, which is how containers found each other before there were networks of users.
 */
import { TsrunError } from '../error.ts';
import type { BridgeAttachment } from '../network/index.ts';
import { networkMode } from './endpoints.ts';
import type { LiveContainer } from './network-names.ts';
import type { ContainerRecord } from './record.ts';
import type { LinkOption, RunOptions } from './run-options.ts';
import type { ContainerStore } from './store.ts';

/** Whether a container has its links in the old way: with variables, and only to containers that run. */
function isOnDefault(options: Pick<RunOptions, 'network'>): boolean {
  return networkMode(options) === 'bridge';
}

/**
 * The options with ids instead of the names of the containers that this one is linked to, and of the one whose network it shares:
 * names change. Throws `USAGE` and `NOT_FOUND` with docker's words.
 */
export function withContainerIds(store: ContainerStore, given: RunOptions): RunOptions {
  const sharer = /^container:(.+)$/s.exec(given.network)?.[1];
  const options = sharer === undefined ? given : { ...given, network: `container:${store.resolve(sharer).record.id}` };
  if (options.links === undefined) return options;
  const shared = /^(host|container)(?=:|$)/.exec(networkMode(options))?.[1];
  if (shared !== undefined) {
    const what = shared === 'host' ? 'host type networking' : 'container type network';
    throw new TsrunError('USAGE', `conflicting options: ${what} can't be used with links`, {
      hint: 'containers that share a network namespace find each other at 127.0.0.1',
    });
  }
  const links = options.links.map(({ target, alias }) => {
    try {
      return { target: store.resolve(target).record.id, alias };
    } catch (error) {
      if (!(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
      throw new TsrunError('NOT_FOUND', `could not get container for ${target}: ${error.message}`, {
        hint: 'a container that is linked to has to be there before',
      });
    }
  });
  return { ...options, links };
}

interface Linked {
  link: LinkOption;
  container: LiveContainer;
  attachment: BridgeAttachment;
}

/** The linked containers that are on a network of this container's now. */
function linkedOf(
  { options }: ContainerRecord,
  own: readonly BridgeAttachment[],
  live: readonly LiveContainer[],
): Linked[] {
  return (options.links ?? []).flatMap((link) => {
    const container = live.find(({ record }) => record.id === link.target);
    const attachment = container?.attachments.find(({ bridge }) => own.some((each) => each.bridge === bridge));
    return container === undefined || attachment === undefined ? [] : [{ link, container, attachment }];
  });
}

/** Lines for the hosts file of a container with links: `address<TAB>alias hostname name`. */
export function linkLines(
  record: ContainerRecord,
  own: readonly BridgeAttachment[],
  live: readonly LiveContainer[],
): string[] {
  return linkedOf(record, own, live).flatMap(({ link, container: { record: linked }, attachment }) => {
    const names = [...new Set([link.alias, linked.hostname, linked.name])].join(' ');
    const { address, address6 } = attachment;
    return [address, ...(address6 === undefined ? [] : [address6])].map((each) => `${each}\t${names}`);
  });
}

/** Whether one of these containers names another in its hosts file by a link. */
export function haveLinks(containers: readonly LiveContainer[]): boolean {
  return containers.some(({ record }) => record.options.links !== undefined);
}

/**
 * The variables that links give to a container on the default network. Throws `CONFLICT` with docker's words where a linked
 * container does not run there.
 */
export function linkVariables(
  store: ContainerStore,
  record: ContainerRecord,
  own: readonly BridgeAttachment[],
  live: () => readonly LiveContainer[],
): string[] {
  const { links } = record.options;
  if (links === undefined || !isOnDefault(record.options)) return [];
  const linked = linkedOf(record, own, live());
  for (const { target, alias } of links) {
    if (linked.some(({ link }) => link.target === target)) continue;
    const { name } = store.resolve(target).record;
    throw new TsrunError('CONFLICT', `Cannot link to a non running container: /${name} AS /${record.name}/${alias}`, {
      hint: `tsrun start ${name} starts it`,
    });
  }
  return linked.flatMap((each) => variablesOf(record, each));
}

function variablesOf(record: ContainerRecord, { link, container, attachment: { address } }: Linked): string[] {
  const prefix = link.alias.replaceAll('-', '_').toUpperCase();
  const ports = container.record.exposedPorts
    .map((text) => {
      const [port, protocol = 'tcp'] = text.split('/');
      return { port: Number(port), protocol };
    })
    .sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
  const url = ({ port, protocol }: (typeof ports)[number]): string => `${protocol}://${address}:${port}`;
  const variables = ports.flatMap((each) => {
    const name = `${prefix}_PORT_${each.port}_${each.protocol.toUpperCase()}`;
    return [
      `${name}=${url(each)}`,
      `${name}_ADDR=${address}`,
      `${name}_PORT=${each.port}`,
      `${name}_PROTO=${each.protocol}`,
    ];
  });
  const [first] = ports;
  const environment = container.record.process.env.filter((entry) => !/^(HOME|PATH)=/.test(entry));
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...variables,
    `${prefix}_NAME=/${record.name}/${link.alias}`,
    ...environment.map((entry) => `${prefix}_ENV_${entry}`),
  ];
}
