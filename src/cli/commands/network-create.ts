/** `tsrun network create`: a bridge of one's own, whose containers know each other's names. */
import { createNetwork } from '../../container/networks.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { checkLabel } from '../options/environment.ts';
import { networkCreation } from '../options/network-create.ts';
import { print } from '../output.ts';

export const networkCreate: Command = {
  usage: '[OPTIONS] NETWORK',
  description: 'Create a network',
  flags: [
    { name: 'attachable', type: 'bool', description: 'No effect: every container may be attached by hand' },
    { name: 'aux-address', type: 'map', description: 'Addresses that no container gets (name=address)' },
    { name: 'config-from', type: 'string', description: '', hidden: true },
    { name: 'config-only', type: 'bool', description: '', hidden: true },
    { name: 'driver', short: 'd', type: 'string', description: 'Driver of the network', shownDefault: '"bridge"' },
    { name: 'gateway', type: 'list', description: 'Address of the host in the subnet (IPv4 or IPv6)' },
    { name: 'ingress', type: 'bool', description: '', hidden: true },
    { name: 'internal', type: 'bool', description: 'No way out of the network and none into it' },
    { name: 'ip-range', type: 'list', description: 'Part of the subnet that containers get addresses of' },
    { name: 'ipam-driver', type: 'string', description: '', hidden: true },
    { name: 'ipam-opt', type: 'map', description: '', hidden: true },
    { name: 'ipv4', type: 'bool', description: 'IPv4, which every network has', hidden: true },
    { name: 'ipv6', type: 'bool', description: 'IPv6 too; without a subnet for it, one that is unique and local' },
    { name: 'label', type: 'list', description: 'Set metadata on the network', check: checkLabel },
    {
      name: 'opt',
      short: 'o',
      type: 'map',
      description:
        'Options of the driver: com.docker.network.bridge.{name,enable_icc,enable_ip_masquerade}, com.docker.network.driver.mtu',
    },
    { name: 'scope', type: 'string', description: '', hidden: true },
    { name: 'subnet', type: 'list', description: 'Addresses of the network (10.20.30.0/24, fd00:1::/64)' },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const creation = networkCreation(flags, name);
    if (process.geteuid?.() !== 0) {
      throw new TsrunError('PERMISSION', 'tsrun needs root to make networks', { hint: 'run it with sudo' });
    }
    print(`${createNetwork(new ContainerStore(), creation).id}\n`);
    return 0;
  },
};
