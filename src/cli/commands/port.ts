/** `tsrun port`: where the ports of a container are on the host. */

import { isUp } from '../../container/active.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { print } from '../output.ts';
import { portBindings } from '../views/container-row.ts';
import { publishedPorts } from '../views/ports.ts';

export const port: Command = {
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  description: 'List port mappings or a specific mapping for the container',
  flags: [],
  args: { min: 1, max: 2 },
  async run({ args: [name = '', asked] }) {
    const container = new ContainerStore().resolve(name);
    const ports = isUp(container.state) ? publishedPorts(portBindings(container)) : [];
    if (asked === undefined) {
      print(ports.map(({ key, address }) => `${key} -> ${address}\n`).join(''));
      return 0;
    }
    const key = wantedPort(asked);
    const found = ports.filter((candidate) => candidate.key === key);
    if (found.length === 0) {
      throw new TsrunError('NOT_FOUND', `No public port '${key}' published for ${name}`, {
        hint: `tsrun port ${name} lists those that are`,
      });
    }
    print(found.map(({ address }) => `${address}\n`).join(''));
    return 0;
  },
};

/** `80` and `80/udp` as keys. Throws `USAGE` with docker's words. */
function wantedPort(text: string): string {
  const [number = '', protocol = 'tcp'] = text.split('/', 2);
  if (!/^\d+$/.test(number) || Number(number) > 65535) {
    throw new TsrunError('USAGE', `Invalid port: ${number}`, { hint: 'a port is a number, or number/tcp, number/udp' });
  }
  return `${number}/${protocol}`;
}
