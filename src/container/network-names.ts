/**
 * Names on networks of users: each container's /etc/hosts has a block with the containers that share a network with it
 * (docs/decisions/0040-names-in-hosts-files.md). The file is bind-mounted, so that it is overwritten in place; what is
 * outside the block belongs to the container.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../error.ts';
import { type BridgeAttachment, bridgeName, withNetworkLock, writeInPlace } from '../network/index.ts';
import { aliasesOf, attachmentsOf, endpointsOf, readLive } from './endpoints.ts';
import { linkLines } from './links.ts';
import type { Container } from './record.ts';
import type { ContainerStore } from './store.ts';

/** A container that is on networks now, or is just being started. */
export interface LiveContainer extends Container {
  attachments: BridgeAttachment[];
}

/** All that live: they run, or have their networks already and are being started. */
export function liveContainers(store: ContainerStore): LiveContainer[] {
  return store.list().flatMap((container) => {
    const { state, record, directory } = container;
    if (state.pid !== 0) return [{ ...container, attachments: attachmentsOf(state) }];
    const live = readLive(directory);
    return live !== undefined && store.isLocked(record.id) ? [{ ...container, attachments: live.attachments }] : [];
  });
}

/** Whether a network has names: the default one has none. */
export function hasNames({ bridge }: Pick<BridgeAttachment, 'bridge'>): boolean {
  return bridge !== bridgeName;
}

/**
 * Brings the hosts files of all running containers up to date: after a container has come to a network of a user's, left
 * it, or changed its name.
 */
export function refreshNames(store: ContainerStore): void {
  withNetworkLock(() => refreshNamesUnderLock(store));
}

/** As `refreshNames`, for a caller that holds the network lock. */
export function refreshNamesUnderLock(store: ContainerStore, containers = liveContainers(store)): void {
  const lines = linesByNetwork(containers);
  const blocks = new Map<string, string[]>();
  for (const { record, attachments } of containers) {
    const named = attachments.filter(hasNames);
    blocks.set(record.id, [
      ...linkLines(record, attachments, containers),
      ...named.flatMap(({ bridge }) => lines.get(bridge) ?? []),
    ]);
  }
  for (const { record, directory, state } of containers) {
    // One that shares the network of another knows what that one knows.
    const target = /^container:(.*)$/.exec(state.start?.network.mode ?? '')?.[1];
    const block = blocks.get(target ?? record.id) ?? [];
    editHosts(directory, (content) => withBlock(content, block));
  }
}

/** `address<TAB>name alias…` of all containers on each bridge, by address. */
function linesByNetwork(containers: readonly LiveContainer[]): Map<string, string[]> {
  const entries = containers
    .flatMap(({ record, attachments }) =>
      attachments.filter(hasNames).map(({ bridge, network, networkId, address, address6 }) => {
        const endpoint = endpointsOf(record).find((each) => each.network === network || each.network === networkId);
        const names = [record.name, ...aliasesOf(record, endpoint ?? { aliases: [] })];
        const text = [...new Set(names)].filter((name) => /^[^\s#]+$/.test(name)).join(' ');
        return { bridge, order: Buffer.from(address.split('.').map(Number)).toString('hex'), address, address6, text };
      }),
    )
    .sort((a, b) => (a.order < b.order ? -1 : 1));
  const lines = new Map<string, string[]>();
  for (const { bridge, address, address6, text } of entries) {
    const own = [`${address}\t${text}`, ...(address6 === undefined ? [] : [`${address6}\t${text}`])];
    const list = lines.get(bridge) ?? [];
    list.push(...own);
    lines.set(bridge, list);
  }
  return lines;
}

const begin = '# tsrun: containers on the same networks; this block is kept up to date';
const end = '# tsrun: end';

/** The content with its block replaced; without lines there is no block. */
export function withBlock(content: string, lines: readonly string[]): string {
  const from = content.indexOf(`${begin}\n`);
  const last = from < 0 ? -1 : content.indexOf(`${end}\n`, from);
  const before = from < 0 ? content : content.slice(0, from);
  const after = last < 0 ? '' : content.slice(last + end.length + 1);
  if (lines.length === 0) return before + after;
  const newline = before === '' || before.endsWith('\n') ? '' : '\n';
  return `${before}${newline}${[begin, ...lines, end].join('\n')}\n${after}`;
}

/** Gives a container that is to share another's network the names that that one knows. */
export function copyNames(from: string, to: string): void {
  editHosts(from, (content) => {
    editHosts(to, (own) => withBlock(own, blockOf(content)));
    return content;
  });
}

/** The lines of the block. */
function blockOf(content: string): string[] {
  const from = content.indexOf(`${begin}\n`);
  const last = from < 0 ? -1 : content.indexOf(`${end}\n`, from);
  if (last < 0) return [];
  return content
    .slice(from + begin.length + 1, last)
    .split('\n')
    .filter((line) => line !== '');
}

/** The container's own names at an address, before the block. */
export function withOwnNames(content: string, hostname: string, addresses: readonly string[]): string {
  const [short = hostname] = hostname.split('.', 1);
  const names = short === hostname || short === '' ? hostname : `${hostname} ${short}`;
  const lines = addresses.map((address) => `${address}\t${names}\n`).join('');
  const at = content.indexOf(`${begin}\n`);
  return at < 0 ? content + lines : content.slice(0, at) + lines + content.slice(at);
}

/** The content without the lines of addresses that the container no longer has; the block is not its own. */
export function withoutOwnNames(content: string, addresses: readonly string[]): string {
  return content
    .split('\n')
    .filter((line) => !addresses.some((address) => line.startsWith(`${address}\t`)))
    .join('\n');
}

/** Bytes of a hosts file that are looked at: the container may make its own as long as it likes. */
const hostsMax = 4 * 1024 * 1024;

/** Changes a container's hosts file in place, where that changes anything. One that is too long is the container's own. */
export function editHosts(directory: string, change: (content: string) => string): void {
  const path = join(directory, 'hosts');
  let content: string;
  try {
    if (statSync(path).size > hostsMax) return;
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return; // it is just being started, or removed
    throw error;
  }
  const changed = change(content);
  if (changed !== content) writeInPlace(path, changed);
}
