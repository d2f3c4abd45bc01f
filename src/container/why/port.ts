/** `why port`: the way of a packet from a published port to whoever listens for it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { attachmentsOf } from '../endpoints.ts';
import { processesOf } from '../processes.ts';
import type { Container } from '../record.ts';
import { type Sentence, say } from '../sentence.ts';

const LISTEN = '0A';

/** A line for each stage of each published port; `wanted`: `80/tcp`, all without it. */
export function whyPort(container: Container, wanted: string | undefined): Sentence[] {
  const { state } = container;
  if (state.pid === 0) return [say('it does not run: nothing is published, and nobody listens')];
  const published = attachmentsOf(state).flatMap((attachment) =>
    attachment.ports.map((port) => ({ attachment, port })),
  );
  const chosen = published.filter(
    ({ port }) => wanted === undefined || wanted === `${port.containerPort}/${port.protocol}`,
  );
  const lines = chosen.flatMap(({ attachment, port }) => {
    const { hostIp, hostPort, containerPort, protocol } = port;
    const ipv6 = hostIp.includes(':');
    const any = hostIp === '0.0.0.0' || hostIp === '::';
    const address = ipv6 ? (attachment.address6 ?? '') : attachment.address;
    const map = `published${ipv6 ? '6' : ''}${any ? '_any' : ''}`;
    const key = `${any ? '' : `${hostIp} . `}${protocol} . ${hostPort}`;
    return [
      say(
        '{1} on the host, held by the monitor so that nobody else gets it',
        `${ipv6 ? `[${hostIp}]` : hostIp}:${hostPort}/${protocol}`,
      ),
      say('  -> nf_tables, table inet tsrun, map {1}: {2}', map, `${key} : ${address} . ${containerPort}`),
      say(
        '  -> bridge {1} -> {2} -> {3}',
        attachment.bridge,
        attachment.hostInterface,
        `${attachment.interface ?? 'eth0'} ${address}:${containerPort}`,
      ),
      say('  -> {1}', listener(container, containerPort, protocol)),
    ];
  });
  if (lines.length > 0) return lines;
  return [
    wanted === undefined
      ? say('it publishes no port')
      : say('{1} is not published: only other containers can reach it', wanted),
    ...(wanted === undefined
      ? []
      : [say('  {1}', listener(container, Number.parseInt(wanted, 10), wanted.split('/')[1] ?? 'tcp'))]),
  ];
}

/** Who listens on a port inside; sockets of /proc/PID/net and descriptors of the container's processes. */
export function listener(container: Container, port: number, protocol: string): Sentence {
  const { pid } = container.state;
  const sockets = [protocol, `${protocol}6`].flatMap((table) => socketsOf(`/proc/${pid}/net/${table}`, port, protocol));
  if (sockets.length === 0) {
    return say('nobody listens on {1} in the container: connections are refused', `${port}/${protocol}`);
  }
  const loopback = sockets.every(({ address }) => address === '0100007F' || /^0{24}01000000$/.test(address));
  for (const process of processesOf(container)) {
    const name = holds(process, new Set(sockets.map(({ inode }) => `socket:[${inode}]`)));
    if (name === undefined) continue;
    return loopback
      ? say('process {1} ({2}) listens, but on 127.0.0.1 only: let it listen on 0.0.0.0', process, name)
      : say('process {1} ({2}) listens', process, name);
  }
  return loopback ? say('somebody listens, but on 127.0.0.1 only: let it listen on 0.0.0.0') : say('somebody listens');
}

function socketsOf(path: string, port: number, protocol: string): { address: string; inode: string }[] {
  return readText(path)
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address = '', number = ''] = (fields[1] ?? '').split(':');
      if (Number.parseInt(number, 16) !== port || (protocol === 'tcp' && fields[3] !== LISTEN)) return [];
      return [{ address, inode: fields[9] ?? '' }];
    });
}

/** The name of a process that has one of these open. */
function holds(pid: number, sockets: ReadonlySet<string>): string | undefined {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return undefined; // it has ended
  }
  for (const name of names) {
    try {
      if (sockets.has(readlinkSync(`/proc/${pid}/fd/${name}`))) return readText(`/proc/${pid}/comm`).trim();
    } catch {
      // it was closed
    }
  }
  return undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
