/** The rules of tsrun's table as the kernel has them now, with their handles, for who wants to see the way of a packet. */
import { NETLINK_NETFILTER, NetlinkSocket } from '../linux/netlink.ts';
import { dumpRules, parseRule } from '../linux/netlink-nftables.ts';
import { getElement, parseElements } from '../linux/netlink-nftables-sets.ts';
import { portElement } from './elements.ts';
import type { PublishedPort } from './ports.ts';
import { ruleTexts, table } from './ruleset.ts';

export interface LiveRule {
  chain: string;
  /** What `nft -a list table inet tsrun` shows behind it. */
  handle: number;
  why: string;
  /** As nft(8) prints it; empty for rules that are not ours, or of another version. */
  text: string;
}

/** In the order in which packets meet them within each chain; empty where the table is not there. */
export function liveRules(): LiveRule[] {
  const known = ruleTexts();
  const socket = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    return socket
      .dump(dumpRules(table))
      .map(parseRule)
      .filter((rule) => rule.table === table.name)
      .map(({ chain, handle, comment = '' }) => ({
        ...{ chain, handle, why: comment },
        text: known.find((rule) => rule.chain === chain && rule.why === comment)?.text ?? '',
      }));
  } finally {
    socket.close();
  }
}

export interface LiveElement {
  map: string;
  /** As nft(8) prints it: `tcp . 8080 : 172.30.0.2 . 80`. */
  text: string;
  /** Whether the kernel has it. */
  isThere: boolean;
}

/** The element of a map that leads a published port to an address of its family. */
export function liveElement(port: PublishedPort, address: string, containerId: string): LiveElement {
  const { set, key } = portElement(port, address, containerId);
  const socket = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    const [answer] = socket.run([getElement(table, set, key)]);
    const [message] = answer?.messages ?? [];
    const { hostIp, protocol, hostPort, containerPort } = port;
    const from = `${set.endsWith('_any') ? '' : `${hostIp} . `}${protocol} . ${hostPort}`;
    return {
      map: set,
      text: `${from} : ${address} . ${containerPort}`,
      isThere: message !== undefined && parseElements(message).length > 0,
    };
  } finally {
    socket.close();
  }
}
