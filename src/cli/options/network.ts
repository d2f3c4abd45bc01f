/** Flags of the network: names, addresses, ports. */
import { isIP } from 'node:net';

/** `NAME:ADDRESS` of --add-host, or NAME=ADDRESS as newer clients have it. Throws an `Error` with docker's words. */
export function parseExtraHost(text: string): { name: string; address: string } {
  const match = /^([^:=]+)[:=](.+)$/s.exec(text);
  if (match === null) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  const [, name = '', written = ''] = match;
  const address = /^\[.*\]$/.test(written) ? written.slice(1, -1) : written;
  if (address !== 'host-gateway' && isIP(address) === 0) {
    throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return { name, address };
}

/** Checks one --dns. */
export function checkAddress(text: string): void {
  if (isIP(text.trim()) === 0) throw new Error(`${text} is not an ip address`);
}

/** Checks one --dns-search. */
export function checkSearchDomain(text: string): void {
  if (text === '.') return;
  const label = '[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?';
  if (!new RegExp(`^(?:${label}\\.)*${label}\\.?$`).test(text)) throw new Error(`${text} is not a valid domain`);
}

/** Checks --mac-address. */
export function checkMac(text: string): void {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) throw new Error(`${text} is not a valid mac address`);
}

/** `80`, `80-90/udp` of --expose as single ports: `80/udp`. Throws an `Error` with docker's words. */
export function parseExpose(text: string): string[] {
  const [range = '', protocol = 'tcp', ...more] = text.toLowerCase().split('/');
  const invalid = (reason: string): Error => new Error(`invalid range format for --expose: ${text}, error: ${reason}`);
  if (range.includes(':')) throw new Error(`invalid port format for --expose: ${text}`);
  if (more.length > 0 || !['tcp', 'udp', 'sctp'].includes(protocol)) throw invalid(`invalid protocol: ${protocol}`);
  const [from = '', to = from, ...rest] = range.split('-');
  for (const port of [from, to]) {
    if (!/^\d+$/.test(port)) throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`);
    if (Number(port) > 65535) throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(port)}: value out of range`);
  }
  if (rest.length > 0 || Number(from) > Number(to)) throw invalid(`invalid range specified for port: ${range}`);
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => `${Number(from) + index}/${protocol}`);
}
