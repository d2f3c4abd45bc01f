/** `tsrun network connect` and `disconnect`: change the networks of a container, running or not. */
import { connect, disconnect } from '../../container/connect.ts';
import type { EndpointOption } from '../../container/run-options.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { canonicalIpv6, checkIpv4, checkIpv6 } from '../options/network.ts';
import { printError } from '../output.ts';

export const networkConnect: Command = {
  usage: '[OPTIONS] NETWORK CONTAINER',
  description: 'Connect a container to a network',
  flags: [
    { name: 'alias', type: 'list', description: 'Another name of the container on the network' },
    { name: 'driver-opt', type: 'list', description: '', hidden: true },
    { name: 'gw-priority', type: 'int', description: 'Of several networks the one with the highest is the way out' },
    { name: 'ip', type: 'string', description: 'IPv4 address', check: checkIpv4 },
    { name: 'ip6', type: 'string', description: 'IPv6 address', check: checkIpv6 },
    { name: 'link', type: 'list', description: '', hidden: true },
    { name: 'link-local-ip', type: 'list', description: '', hidden: true },
  ],
  args: { min: 2, max: 2 },
  async run({ flags, args: [network = '', container = ''] }) {
    const reasons = {
      link: 'containers on a network know each other by name; --alias gives further names',
      'link-local-ip': 'link-local addresses are not there yet',
      'driver-opt': 'the bridge has no options for single containers',
    };
    for (const [name, reason] of Object.entries(reasons)) {
      if (flags.has(name)) throw new TsrunError('UNSUPPORTED', `--${name} is not supported: ${reason}`);
    }
    const ip = flags.string('ip');
    const ip6 = flags.string('ip6');
    const gatewayPriority = flags.integer('gw-priority');
    const endpoint: EndpointOption = {
      network,
      aliases: flags.strings('alias').flatMap((text) => text.split(',')),
      ...(gatewayPriority === undefined ? {} : { gatewayPriority }),
      ...(ip ? { ip } : {}),
      ...(ip6 ? { ip6: canonicalIpv6(ip6) } : {}),
    };
    await connect(new ContainerStore(), container, endpoint, (line) => printError(`tsrun: ${line}`));
    return 0;
  },
};

export const networkDisconnect: Command = {
  usage: '[OPTIONS] NETWORK CONTAINER',
  description: 'Take a container from a network',
  flags: [{ name: 'force', short: 'f', type: 'bool', description: 'Also where the container is gone' }],
  args: { min: 2, max: 2 },
  async run({ flags, args: [network = '', container = ''] }) {
    await disconnect(new ContainerStore(), network, container, flags.boolean('force'));
    return 0;
  },
};
