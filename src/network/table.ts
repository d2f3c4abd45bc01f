/**
 * The table in the kernel: made, kept at its version, its elements added and deleted. Everything here runs under the
 * network lock, so that nothing changes between a look and the transaction that follows it.
 */
import { errno } from '../linux/errno.ts';
import { NetlinkError, type NetlinkRequest, type NetlinkSocket } from '../linux/netlink.ts';
import { deleteTable, getTable, parseTable, transaction } from '../linux/netlink-nftables.ts';
import {
  addElements,
  deleteElements,
  dumpElements,
  getElement,
  NFT_SET_ELEM_INTERVAL_END,
  parseElements,
} from '../linux/netlink-nftables-sets.ts';
import { step } from '../trace.ts';
import { interfaceName, networkElements, type PlacedElement } from './elements.ts';
import type { BridgeNetwork } from './ipam.ts';
import { createRuleset, rulesetText, rulesetVersion, type SetName, setNames, table, versionOf } from './ruleset.ts';

/** The version of the table in the kernel: undefined without a table, 0 for a foreign one of that name. */
export function tableVersion(socket: NetlinkSocket): number | undefined {
  const [answer] = socket.run([getTable(table)]);
  const message = answer?.messages[0];
  return message === undefined ? undefined : versionOf(parseTable(message).comment);
}

/**
 * Sees to it that the table is there, at this version or a later one, and knows the network. One question where all is
 * well; else one transaction, which keeps the elements of an older table. Where there was none (an administrator flushed
 * the ruleset) `lost` tells the ports of running containers.
 */
export function ensureTable(
  socket: NetlinkSocket,
  network: BridgeNetwork,
  lost: () => PlacedElement[] = () => [],
  wanted = rulesetVersion,
): void {
  const [found, element] = socket.run([getTable(table), getElement(table, 'bridges', interfaceName(network.bridge))]);
  const message = found?.messages[0];
  const version = message === undefined ? undefined : versionOf(parseTable(message).comment);
  if (version !== undefined && version >= wanted) {
    if (element?.error === undefined) return;
    const title = `let the nf_tables table "tsrun" know the network ${network.subnet}`;
    step({ phase: 'network', title }, () => transaction(socket, title, adding(networkElements(network))));
    return;
  }
  // A table of that name that tells no version is not ours to copy from.
  const kept = version === undefined || version === 0 ? lost() : readElements(socket, setNames);
  step(
    {
      phase: 'network',
      title: `${version === undefined ? 'create' : 'replace'} the nf_tables table "tsrun"`,
      why: 'its maps redirect published ports; its chains guard containers and lend them an address of this machine',
      shell: `nft -f - <<'END'\n${rulesetText()}END`,
    },
    () =>
      transaction(socket, 'create nf_tables table "tsrun"', [
        ...(version === undefined ? [] : [deleteTable(table)]),
        ...createRuleset(wanted),
        ...adding([...kept, ...networkElements(network)]),
      ]),
  );
}

/**
 * Adds published ports. The caller holds the ports' sockets, so that an element which is there already belongs to
 * nobody any more and gives way.
 */
export function publish(socket: NetlinkSocket, ports: readonly PlacedElement[]): void {
  if (ports.length === 0) return;
  try {
    transaction(socket, 'publish ports', adding(ports));
  } catch (error) {
    if (!isErrno(error, errno.EEXIST, errno.EBUSY)) throw error;
    unpublish(socket, ports, () => true);
    transaction(socket, 'publish ports', adding(ports));
  }
}

/**
 * Deletes published ports that are still there and are `ours`: a port may have got a new owner meanwhile. An element
 * that somebody else deletes at this moment makes a transaction fail as a whole: then each goes by itself.
 */
export function unpublish(
  socket: NetlinkSocket,
  ports: readonly PlacedElement[],
  ours: (found: PlacedElement, wanted: PlacedElement) => boolean,
): void {
  const answers = socket.run(ports.map(({ set, key }) => getElement(table, set, key)));
  const doomed = ports.filter((port, i) => {
    const message = answers[i]?.messages[0];
    const found = message === undefined ? undefined : parseElements(message)[0];
    return found !== undefined && ours({ ...found, set: port.set }, port);
  });
  deleteAll(socket, doomed);
}

/** Deletes elements, tolerating the absence of each. */
export function deleteAll(socket: NetlinkSocket, elements: readonly PlacedElement[]): void {
  if (elements.length === 0) return;
  const keysOf = (name: SetName) => elements.filter(({ set }) => set === name).map(({ key }) => key);
  try {
    const requests = setNames.flatMap((name) => deleteElements(table, name, keysOf(name)));
    transaction(socket, 'withdraw published ports', requests);
  } catch (error) {
    if (!isErrno(error, errno.ENOENT)) throw error;
    for (const { set, key } of elements) {
      try {
        transaction(socket, 'withdraw a published port', deleteElements(table, set, [key]));
      } catch (single) {
        if (!isErrno(single, errno.ENOENT)) throw single;
      }
    }
  }
}

/** All elements of some sets, in an order in which they can be added again. */
export function readElements(socket: NetlinkSocket, names: readonly SetName[]): PlacedElement[] {
  return names.flatMap((set) =>
    socket
      .dump(dumpElements(table, set))
      .flatMap(parseElements)
      .map((element) => ({ ...element, set }))
      // A range that ends where the next one begins: its end comes first.
      .sort((a, b) => Buffer.compare(a.key, b.key) || endsFirst(b) - endsFirst(a)),
  );
}

function endsFirst({ flags = 0 }: PlacedElement): number {
  return flags & NFT_SET_ELEM_INTERVAL_END;
}

function adding(elements: readonly PlacedElement[]): NetlinkRequest[] {
  return setNames.flatMap((name) => {
    const own = elements.filter(({ set }) => set === name);
    return addElements(table, name, own);
  });
}

function isErrno(error: unknown, ...numbers: number[]): boolean {
  return error instanceof NetlinkError && numbers.includes(error.errno);
}
