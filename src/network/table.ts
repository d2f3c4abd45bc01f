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
import { createRuleset, rulesetVersion, type SetName, setNames, sets, table, versionOf } from './ruleset.ts';
import { makeTable, tableKnows } from './steps.ts';

/** The version of the table in the kernel: undefined without a table, 0 for a foreign one of that name. */
export function tableVersion(socket: NetlinkSocket): number | undefined {
  const [answer] = socket.run([getTable(table)]);
  const message = answer?.messages[0];
  return message === undefined ? undefined : versionOf(parseTable(message).comment);
}

/**
 * Sees to it that the table is there, at this version or a later one, and knows the network. One question where all is
 * well; else one transaction, which keeps the elements of an older table. Where there was none (an administrator flushed
 * the ruleset) `lost` tells the ports of running containers; `others` tells all networks whose bridges stand, of which an
 * older table may not know everything.
 */
export function ensureTable(
  socket: NetlinkSocket,
  network: BridgeNetwork,
  lost: () => PlacedElement[] = () => [],
  wanted = rulesetVersion,
  others: () => readonly BridgeNetwork[] = () => [],
): void {
  const [found, element] = socket.run([getTable(table), getElement(table, 'bridges', interfaceName(network.bridge))]);
  const message = found?.messages[0];
  const version = message === undefined ? undefined : versionOf(parseTable(message).comment);
  if (version !== undefined && version >= wanted) {
    if (element?.error === undefined) return;
    const known = tableKnows(network);
    step(known, () => transaction(socket, known.title, adding(networkElements(network))));
    return;
  }
  // A table of that name that tells no version is not ours to copy from.
  const kept = version === undefined || version === 0 ? lost() : readElements(socket, setNames);
  const known = [network, ...others()].flatMap(networkElements);
  step(makeTable(version !== undefined), () =>
    transaction(socket, 'create nf_tables table "tsrun"', [
      ...(version === undefined ? [] : [deleteTable(table)]),
      ...createRuleset(wanted),
      ...adding(distinct([...kept, ...known])),
    ]),
  );
}

/** Each element once, ranges in their order. */
function distinct(elements: readonly PlacedElement[]): PlacedElement[] {
  const identity = ({ set, key, flags = 0 }: PlacedElement): string => `${set} ${key.toString('hex')} ${flags}`;
  return [...new Map(elements.map((element) => [identity(element), element])).values()].sort(inOrder);
}

/** Takes a network out of the table. */
export function forgetNetwork(socket: NetlinkSocket, network: BridgeNetwork): void {
  step(
    {
      phase: 'teardown',
      title: `let the nf_tables table "tsrun" forget the network ${network.subnet}`,
      why: 'another network may get its subnet',
    },
    () => deleteAll(socket, networkElements(network)),
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

/** Deletes elements, tolerating the absence of each; of a range both ends go together. */
export function deleteAll(socket: NetlinkSocket, elements: readonly PlacedElement[]): void {
  if (elements.length === 0) return;
  const inSet = (name: SetName) => elements.filter(({ set }) => set === name);
  try {
    const requests = setNames.flatMap((name) => deleteElements(table, name, inSet(name)));
    transaction(socket, 'withdraw elements of nf_tables', requests);
  } catch (error) {
    if (!isErrno(error, errno.ENOENT)) throw error;
    const parts = setNames.flatMap((name) => {
      const ranges = 'interval' in sets[name];
      return ranges ? [inSet(name)] : inSet(name).map((element) => [element]);
    });
    for (const part of parts) {
      const [first] = part;
      if (first === undefined) continue;
      try {
        transaction(socket, 'withdraw an element of nf_tables', deleteElements(table, first.set, part));
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
      .sort(inOrder),
  );
}

/** A range that ends where the next one begins: its end comes first. */
function inOrder(a: PlacedElement, b: PlacedElement): number {
  return Buffer.compare(a.key, b.key) || endsFirst(b) - endsFirst(a);
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
