/**
 * The table of connections (ctnetlink, linux/netfilter/nfnetlink_conntrack.h), as far as published UDP ports need it:
 * nothing ends a UDP "connection", so that a client which goes on sending keeps the redirection, or the lack of one, of
 * its first packet. Entries that stand in the way are looked up and deleted.
 */
import { AF_INET, type AF_INET6 } from './constants.ts';
import { errno } from './errno.ts';
import { addressText } from './ip-address.ts';
import type { NetlinkRequest, NetlinkSocket } from './netlink.ts';
import { Attributes, attribute, malformed, nested, u8, u32 } from './netlink-message.ts';

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_ID = 12;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_F_PROTO_NUM = 1 << 3;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const IPPROTO_UDP = 17;

/** A UDP connection: where its first packet went, and whence answers are expected. */
export interface UdpConnection {
  destination: string;
  destinationPort: number;
  /** Differs from `destination` where the connection is redirected. */
  answersFrom: string;
}

function request(message: number, family: number, attributes: Uint8Array[], action: string): NetlinkRequest {
  const header = Buffer.of(family, 0, 0, 0);
  return {
    type: (NFNL_SUBSYS_CTNETLINK << 8) | message,
    flags: 0,
    body: Buffer.concat([header, ...attributes]),
    action,
  };
}

/** Forgets the UDP connections over IPv4 (or IPv6) that `chosen` picks. Kernels without ctnetlink have none to forget. */
export function forgetUdpConnections(
  socket: NetlinkSocket,
  chosen: (connection: UdpConnection) => boolean,
  family: typeof AF_INET | typeof AF_INET6 = AF_INET,
): number {
  // The kernel filters since Linux 5.8; before, and in any case, so do we.
  const filter = [
    nested(CTA_TUPLE_ORIG, nested(CTA_TUPLE_PROTO, attribute(CTA_PROTO_NUM, u8(IPPROTO_UDP)))),
    nested(CTA_FILTER, attribute(CTA_FILTER_ORIG_FLAGS, u32(CTA_FILTER_F_PROTO_NUM))),
  ];
  const list = {
    ...request(IPCTNL_MSG_CT_GET, family, filter, 'list connections'),
    tolerate: [errno.EINVAL, errno.EOPNOTSUPP],
  };
  const doomed: NetlinkRequest[] = [];
  for (const message of socket.dump(list)) {
    if (message.body.length < 4) throw malformed('a connection ends inside its header');
    const attributes = new Attributes(message.body.subarray(4));
    const connection = udpConnection(attributes);
    const tuple = attributes.bytes(CTA_TUPLE_ORIG);
    const id = attributes.bytes(CTA_ID);
    if (connection === undefined || tuple === undefined || id === undefined || !chosen(connection)) continue;
    // With its id, so that a connection made anew meanwhile is spared.
    const which = [nested(CTA_TUPLE_ORIG, tuple), attribute(CTA_ID, id)];
    doomed.push({ ...request(IPCTNL_MSG_CT_DELETE, family, which, 'forget a connection'), tolerate: [errno.ENOENT] });
  }
  socket.run(doomed);
  return doomed.length;
}

function udpConnection(attributes: Attributes): UdpConnection | undefined {
  const original = attributes.nested(CTA_TUPLE_ORIG);
  const protocol = original?.nested(CTA_TUPLE_PROTO);
  const asked = original?.nested(CTA_TUPLE_IP);
  const answers = attributes.nested(CTA_TUPLE_REPLY)?.nested(CTA_TUPLE_IP);
  const destination = asked?.bytes(CTA_IP_V4_DST) ?? asked?.bytes(CTA_IP_V6_DST);
  const answersFrom = answers?.bytes(CTA_IP_V4_SRC) ?? answers?.bytes(CTA_IP_V6_SRC);
  if (protocol?.u8(CTA_PROTO_NUM) !== IPPROTO_UDP || destination === undefined || answersFrom === undefined) {
    return undefined;
  }
  return {
    destination: addressText(destination),
    destinationPort: protocol.be16(CTA_PROTO_DST_PORT) ?? 0,
    answersFrom: addressText(answersFrom),
  };
}
