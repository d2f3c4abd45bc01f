/** Lesson 10: a network of its own, a cable to a switch in the kernel, and the host as a router. */
import { readFileSync, writeFileSync } from 'node:fs';
import * as kit from 'tsrun/lessons/kit.ts';
import { CLONE_NEWNET, O_RDONLY } from 'tsrun/linux/constants.ts';
import { AT_FDCWD, openat } from 'tsrun/linux/fs.ts';
import { withNetns } from 'tsrun/linux/namespaces.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from 'tsrun/linux/netlink.ts';
import { changeLink, createBridge, createVeth, deleteLink } from 'tsrun/linux/netlink-link.ts';
import * as nft from 'tsrun/linux/netlink-nftables.ts';
import { compare, loadMeta, loadPayload, masquerade } from 'tsrun/linux/netlink-nftables-expressions.ts';
import { addAddress, setDefaultRoute } from 'tsrun/linux/netlink-route.ts';

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
  // A switch, with an address of the host; a cable from there into the namespace of the child.
  const netns = openat(AT_FDCWD, `/proc/${pid}/ns/net`, O_RDONLY);
  route.run([createBridge(bridge, '02:00:00:00:07:01', 1500)]);
  const index = kit.indexOf(route, bridge);
  const peer = { name: 'eth0', mac: '02:00:00:00:07:02', netns };
  route.run([addAddress(index, gateway, 24), changeLink(index, { up: true })]);
  route.run([createVeth({ name: cable, master: index, mtu: 1500, peer }), changeLink(cable, { up: true })]);

  // One thread may visit a network namespace (lesson 1): a socket that is opened there stays there.
  const there = withNetns(netns, () => NetlinkSocket.open(NETLINK_ROUTE));
  const eth0 = kit.indexOf(there, 'eth0');
  there.run([changeLink('lo', { up: true }), changeLink(eth0, { up: true }), addAddress(eth0, address, 24)]);
  there.run([setDefaultRoute(eth0, gateway)]);
  there.close();

  // A router passes packets on, and lends its own address to what comes from 10.213.7 and leaves by another interface.
  writeFileSync(forwarding, '1');
  const ours = [loadPayload('network', 12, 3), compare('==', Buffer.of(10, 213, 7))];
  const elsewhere = [loadMeta('oifname'), compare('!=', Buffer.from(bridge.padEnd(16, '\0')))];
  const leave = { name: 'leave', type: 'nat', hook: 'postrouting', priority: 100 } as const;
  const rule = nft.newRule(table, 'leave', [...ours, ...elsewhere, masquerade()]);
  nft.transaction(firewall, 'lend the address', [nft.newTable(table, 'lesson 10'), nft.newChain(table, leave), rule]);
});
