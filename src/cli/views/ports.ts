/** The PORTS column: published and exposed ports in docker's short form. */

export interface PortBinding {
  containerPort: number;
  protocol: string;
  /** Absent: exposed, and not published. */
  host?: { ip: string; port: number };
}

/** `80/tcp` */
export function parsePort(text: string): { containerPort: number; protocol: string } {
  const [port = '', protocol = 'tcp'] = text.split('/');
  return { containerPort: Number(port), protocol };
}

/** The address that docker prints for all of them; `::` it writes without brackets (`:::80->80/tcp`). */
export function shownAddress(ip: string): string {
  return ip === '' ? '0.0.0.0' : ip;
}

/** What `port` lists: `80/tcp` and where it is on the host, `0.0.0.0:8080`, by number. */
export function publishedPorts(bindings: readonly PortBinding[]): { key: string; address: string }[] {
  return [...bindings]
    .sort((a, b) => a.containerPort - b.containerPort || a.protocol.localeCompare(b.protocol))
    .flatMap(({ containerPort, protocol, host }) =>
      host === undefined
        ? []
        : [{ key: `${containerPort}/${protocol}`, address: `${shownAddress(host.ip)}:${host.port}` }],
    );
}

/** By their characters: `0.0.0.0` before `::`. */
function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

interface Range {
  /** What numbers that follow one another must share. */
  ip: string | undefined;
  protocol: string;
  first: number;
  last: number;
}

function formatRange({ ip, protocol, first, last }: Range): string {
  const numbers = first === last ? String(first) : `${first}-${last}`;
  return ip === undefined ? `${numbers}/${protocol}` : `${ip}:${numbers}->${numbers}/${protocol}`;
}

function formatPort({ containerPort, protocol, host }: PortBinding): string {
  const inside = `${containerPort}/${protocol}`;
  return host === undefined ? inside : `${shownAddress(host.ip)}:${host.port}->${inside}`;
}

/**
 * `0.0.0.0:8080->80/tcp, 443/tcp`. Ports that follow one another are joined where the port of the host is the same as
 * that of the container, or there is none.
 */
export function formatPorts(bindings: readonly PortBinding[]): string {
  const [only] = bindings;
  if (only === undefined) return '';
  if (bindings.length === 1) return formatPort(only);
  const sorted = [...bindings].sort(
    (a, b) =>
      a.containerPort - b.containerPort ||
      inOrder(a.host?.ip ?? '', b.host?.ip ?? '') ||
      (a.host?.port ?? 0) - (b.host?.port ?? 0) ||
      a.protocol.localeCompare(b.protocol),
  );
  const ranges: Range[] = [];
  const single: string[] = [];
  for (const { containerPort, protocol, host } of sorted) {
    const ip = host === undefined ? undefined : shownAddress(host.ip);
    if (host !== undefined && host.port !== containerPort) {
      single.push(formatPort({ containerPort, protocol, host }));
      continue;
    }
    const range = ranges.find(
      (candidate) => candidate.ip === ip && candidate.protocol === protocol && candidate.last === containerPort - 1,
    );
    if (range !== undefined) range.last = containerPort;
    else ranges.push({ ip, protocol, first: containerPort, last: containerPort });
  }
  const exposed = ranges.filter((range) => range.ip === undefined);
  const published = ranges.filter((range) => range.ip !== undefined);
  return [...exposed.map(formatRange), ...published.map(formatRange), ...single].join(', ');
}
