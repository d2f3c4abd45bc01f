/** Lesson 10, solved: port 8080 of the host leads to port 80 of the container. */
import { readFileSync, writeFileSync } from 'node:fs';
import * as kit from 'tsrun/lessons/kit.ts';
import { CLONE_NEWNET, O_RDONLY } from 'tsrun/linux/constants.ts';
import { AT_FDCWD, openat } from 'tsrun/linux/fs.ts';
import { withNetns } from 'tsrun/linux/namespaces.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from 'tsrun/linux/netlink.ts';
import { changeLink, createBridge, createVeth, deleteLink } from 'tsrun/linux/netlink-link.ts';
import * as nft from 'tsrun/linux/netlink-nftables.ts';
import * as e from 'tsrun/linux/netlink-nftables-expressions.ts';
import { addAddress, RTN_LOCAL, setDefaultRoute } from 'tsrun/linux/netlink-route.ts';

const [bridge, cable, gateway, address] = ['lesson0', 'lesson0v', '10.213.7.1', '10.213.7.2'] as const;
const table = { family: nft.NFPROTO_IPV4, name: 'tsrun-lesson' };
const [route, firewall] = [NetlinkSocket.open(NETLINK_ROUTE), NetlinkSocket.open(NETLINK_NETFILTER)];
const forwarding = '/proc/sys/net/ipv4/ip_forward';
const before = readFileSync(forwarding);
process.on('exit', () => {
  route.run([deleteLink(cable), deleteLink(bridge)]);
  nft.transaction(firewall, 'tidy up', [nft.newTable(table, ''), nft.deleteTable(table)]);
  writeFileSync(forwarding, before);
});
const enterCgroup = kit.newCgroup();
const b = new kit.ProgramBuilder();
kit.newChild(b, kit.isolated | CLONE_NEWNET, true);
kit.containerWalls(b); // lessons 3 to 9
await kit.inside(b);
await kit.run(b, (pid) => {
  enterCgroup(pid);
  const netns = openat(AT_FDCWD, `/proc/${pid}/ns/net`, O_RDONLY);
  route.run([createBridge(bridge, '02:00:00:00:07:01', 1500)]);
  const peer = { name: 'eth0', mac: '02:00:00:00:07:02', netns };
  const index = kit.indexOf(route, bridge);
  route.run([addAddress(index, gateway, 24), changeLink(index, { up: true })]);
  route.run([createVeth({ name: cable, master: index, mtu: 1500, peer }), changeLink(cable, { up: true })]);
  const there = withNetns(netns, () => NetlinkSocket.open(NETLINK_ROUTE));
  const eth0 = kit.indexOf(there, 'eth0');
  there.run([changeLink('lo', { up: true }), changeLink(eth0, { up: true }), addAddress(eth0, address, 24)]);
  there.run([setDefaultRoute(eth0, gateway)]);
  there.close();
  writeFileSync(forwarding, '1');
  const ours = [e.loadPayload('network', 12, 3), e.compare('==', Buffer.of(10, 213, 7))];
  const elsewhere = [e.loadMeta('oifname'), e.compare('!=', Buffer.from(bridge.padEnd(16, '\0')))];
  const leave = { name: 'leave', type: 'nat', hook: 'postrouting', priority: 100 } as const;
  const rule = nft.newRule(table, 'leave', [...ours, ...elsewhere, e.masquerade()]);
  // TCP, to an address of this machine, port 8080: the destination becomes the container's, before a route is chosen.
  const arriving = [e.loadDestinationType(), e.compare('==', Buffer.of(RTN_LOCAL, 0, 0, 0))];
  const tcp = [e.loadMeta('l4proto'), e.compare('==', Buffer.of(6))];
  const port = [e.loadPayload('transport', 2, 2), e.compare('==', Buffer.of(8080 >> 8, 8080 & 255))];
  const target = [e.loadValue(Buffer.of(10, 213, 7, 2)), e.loadValue(Buffer.of(0, 80), 9)];
  const publish = [...arriving, ...tcp, ...port, ...target, e.destinationNat(nft.NFPROTO_IPV4)];
  nft.transaction(firewall, 'lend the address, and publish a port', [
    ...[nft.newTable(table, 'lesson 10'), nft.newChain(table, leave), rule],
    ...(['prerouting', 'output'] as const).flatMap((hook) => [
      nft.newChain(table, { name: hook, type: 'nat', hook, priority: -100 }),
      nft.newRule(table, hook, publish),
    ]),
  ]);
});
