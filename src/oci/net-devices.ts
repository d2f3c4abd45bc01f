/**
 * Interfaces of the host that become the container's (OCI runtime-spec 1.3 config-linux.md, "Network Devices"). They keep their
 * addresses; the kernel gives physical ones back when the namespace ends.
 */
import { TsrunError } from '../error.ts';
import { AF_INET, AF_INET6, O_RDONLY } from '../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { withNetns } from '../linux/namespaces.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../linux/netlink.ts';
import { changeLink, getLink, moveLink, parseLink } from '../linux/netlink-link.ts';
import { addAddress, dumpAddresses, parseAddress } from '../linux/netlink-route.ts';
import type { Linux } from '../runtime/spec.ts';

/** Moves `devices` into the network namespace of process `pid`. Throws `NOT_FOUND`, NetlinkError. */
export function moveNetDevices(pid: number, devices: Linux['netDevices']): void {
  const entries = Object.entries(devices ?? {});
  if (entries.length === 0) return;
  const netns = openat(AT_FDCWD, `/proc/${pid}/ns/net`, O_RDONLY);
  try {
    for (const [name, { name: inside }] of entries) move(netns, name, inside || name);
  } finally {
    close(netns);
  }
}

function move(netns: number, name: string, inside: string): void {
  const addresses = withSocket((socket) => {
    const index = indexOf(socket, name);
    if (index === undefined) {
      throw new TsrunError('NOT_FOUND', `linux.netDevices: the host has no interface ${JSON.stringify(name)}`);
    }
    const given = [AF_INET, AF_INET6]
      .flatMap((family) => socket.dump(dumpAddresses(family)).flatMap((message) => parseAddress(message) ?? []))
      // Link-local ones the kernel makes anew.
      .filter((each) => each.index === index && !each.address.startsWith('fe80:'));
    socket.run([changeLink(index, { up: false }), moveLink(index, { netns, name: inside })]);
    return given;
  });
  withNetns(netns, () =>
    withSocket((socket) => {
      // Its number may be another one here.
      const index = indexOf(socket, inside) ?? 0;
      socket.run([
        ...addresses.map(({ address, prefix }) => addAddress(index, address, prefix)),
        changeLink(index, { up: true }),
      ]);
    }),
  );
}

function withSocket<T>(visit: (socket: NetlinkSocket) => T): T {
  const socket = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    return visit(socket);
  } finally {
    socket.close();
  }
}

function indexOf(socket: NetlinkSocket, name: string): number | undefined {
  const message = socket.run([getLink(name)])[0]?.messages[0];
  return message === undefined ? undefined : parseLink(message).index;
}
