/**
 * Who holds a port: the socket from /proc/net (man 5 proc_pid_net), then the process that has it open. Only for the
 * message of a conflict, since looking through all descriptors of all processes takes its time.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { addressBytes, ipv4Bytes } from '../linux/ip-address.ts';
import type { PublishedPort } from './ports.ts';

const LISTEN = 0x0a;
/** FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, LAST_ACK, CLOSING: states of connections whose process is done with them. */
const endStates: readonly number[] = [0x04, 0x05, 0x06, 0x07, 0x09, 0x0b];

/** A socket in the calling thread's network namespace that excludes a port. */
interface Holder {
  state: number;
  /** 0 where no process has it open. */
  inode: number;
}

/** Whether nothing but the remains of closed connections is in the way of a TCP port. */
export function onlyRemains(port: PublishedPort): boolean {
  const holders = findHolders(port);
  return holders.length > 0 && holders.every(({ inode, state }) => inode === 0 && endStates.includes(state));
}

/** `process 1234 (nginx: master process)`, as well as it can be found out. */
export function describeHolder(port: PublishedPort): string {
  const holders = findHolders(port).sort((a, b) => Number(b.state === LISTEN) - Number(a.state === LISTEN));
  for (const { inode } of holders) {
    const process = inode === 0 ? undefined : processWith(inode);
    if (process !== undefined) return process;
  }
  // The kernel lists TCP sockets only when they listen or are connected.
  return holders.length === 0 ? 'a process that does not listen on it' : 'a process that cannot be seen from here';
}

function findHolders({ protocol, hostIp, hostPort }: PublishedPort): Holder[] {
  return [protocol, `${protocol}6`].flatMap((table) => {
    const lines = readText(`/proc/thread-self/net/${table}`).split('\n').slice(1);
    return lines.flatMap((line) => {
      // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
      const fields = line.trim().split(/\s+/);
      const [address = '', port = ''] = (fields[1] ?? '').split(':');
      if (Number.parseInt(port, 16) !== hostPort || !excludes(address, hostIp)) return [];
      return [{ state: Number.parseInt(fields[3] ?? '', 16), inode: Number(fields[9]) }];
    });
  });
}

/** Whether a local address in the kernel's notation (hexadecimal words in host byte order) excludes an address. */
function excludes(local: string, address: string): boolean {
  if (address.includes(':')) {
    const own = addressBytes(address).swap32().toString('hex').toUpperCase();
    return local.length === 32 && (address === '::' || local === own || /^0+$/.test(local));
  }
  if (/^0+$/.test(local)) return true; // 0.0.0.0, or :: which mostly means both families
  const mapped = local.startsWith('0000000000000000FFFF0000'); // ::ffff:a.b.c.d
  const word = mapped ? local.slice(24) : local;
  if (word.length !== 8) return false;
  const own = ipv4Bytes(address).reverse().toString('hex').toUpperCase();
  return address === '0.0.0.0' || word === own || word === '00000000';
}

function processWith(inode: number): string | undefined {
  const socket = `socket:[${inode}]`;
  for (const pid of readDirectory('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of readDirectory(`/proc/${pid}/fd`)) {
      if (readLink(`/proc/${pid}/fd/${fd}`) !== socket) continue;
      const command = readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
      return `process ${pid} (${printable(command || readText(`/proc/${pid}/comm`).trim())})`;
    }
  }
  return undefined;
}

/** A process writes its own command line: no control characters into the user's terminal, and not the whole of it. */
function printable(text: string): string {
  const clean = text.replace(/\p{C}/gu, '?');
  return clean.length > 60 ? `${clean.slice(0, 59)}…` : clean;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // it has ended
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
