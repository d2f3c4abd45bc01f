/** The two netlink sockets that networks are made by. */
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';

/** The two kernel interfaces that the network is made by. */
export interface Sockets {
  route: NetlinkSocket;
  netfilter: NetlinkSocket;
}

export function withSockets<T>(work: (sockets: Sockets) => T): T {
  const route = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    const netfilter = NetlinkSocket.open(NETLINK_NETFILTER);
    try {
      return work({ route, netfilter });
    } finally {
      netfilter.close();
    }
  } finally {
    route.close();
  }
}
