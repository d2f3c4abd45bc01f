/** `why port`: the way of a packet from a published port to whoever listens for it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { attachmentsOf } from '../endpoints.ts';
import { processesOf } from '../processes.ts';
import type { Container } from '../record.ts';

const LISTEN = '0A';

/** A line for each stage of each published port; `wanted`: `80/tcp`, all without it. */
export function whyPort(container: Container, wanted: string | undefined): string[] {
  const { state } = container;
  if (state.pid === 0) return ['it does not run: nothing is published, and nobody listens'];
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
      `${ipv6 ? `[${hostIp}]` : hostIp}:${hostPort}/${protocol} on the host, held by the monitor so that nobody else gets it`,
      `  -> nf_tables, table inet tsrun, map ${map}: ${key} : ${address} . ${containerPort}`,
      `  -> bridge ${attachment.bridge} -> ${attachment.hostInterface} -> ${attachment.interface ?? 'eth0'} ${address}:${containerPort}`,
      `  -> ${listener(container, containerPort, protocol)}`,
    ];
  });
  if (lines.length > 0) return lines;
  return [
    wanted === undefined ? 'it publishes no port' : `${wanted} is not published: only other containers can reach it`,
    ...(wanted === undefined
      ? []
      : [`  ${listener(container, Number.parseInt(wanted, 10), wanted.split('/')[1] ?? 'tcp')}`]),
  ];
}

/** Who listens on a port inside; sockets of /proc/PID/net and descriptors of the container's processes. */
function listener(container: Container, port: number, protocol: string): string {
  const { pid } = container.state;
  const sockets = [protocol, `${protocol}6`].flatMap((table) => socketsOf(`/proc/${pid}/net/${table}`, port, protocol));
  if (sockets.length === 0) return `nobody listens on ${port}/${protocol} in the container: connections are refused`;
  const loopback = sockets.every(({ address }) => address === '0100007F' || /^0{24}01000000$/.test(address));
  const where = loopback ? ', but on 127.0.0.1 only: let it listen on 0.0.0.0' : '';
  for (const process of processesOf(container)) {
    const name = holds(process, new Set(sockets.map(({ inode }) => `socket:[${inode}]`)));
    if (name !== undefined) return `process ${process} (${name}) listens${where}`;
  }
  return `somebody listens${where}`;
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
