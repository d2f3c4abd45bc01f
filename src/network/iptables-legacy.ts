/**
 * The forward chain of the older iptables, which nf_tables does not show: read by getsockopt on a raw socket
 * (linux/netfilter_ipv4/ip_tables.h). Nothing is ever written there.
 */
import { readFileSync } from 'node:fs';
import { AF_INET, SOCK_CLOEXEC, SOCK_RAW } from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { close } from '../linux/fs.ts';

const IPPROTO_RAW = 255;
const SOL_IP = 0;
const IPT_SO_GET_INFO = 64;
const IPT_SO_GET_ENTRIES = 65;
const NF_INET_FORWARD = 2;
/** struct ipt_getinfo: name[32], valid_hooks, hook_entry[5], underflow[5], num_entries, size */
const infoSize = 84;
const underflowOffset = 56;
const sizeOffset = 80;
/** struct ipt_get_entries: name[32], size, then entries at a multiple of 8 */
const entriesOffset = 40;
/** struct ipt_entry: in and out interface, and where its target and the next entry begin */
const ENTRY_IN = 16;
const ENTRY_OUT = 32;
const ENTRY_TARGET = 88;
const ENTRY_NEXT = 90;
const entrySize = 112;
/** struct xt_standard_target: size, name[29], revision, verdict; a name of `ERROR` begins a user's chain */
const TARGET_NAME = 2;
const TARGET_DATA = 32;
const DROP = -1;

export interface LegacyChain {
  /** Whether its policy is DROP, and no rule names the bridge in both directions. */
  drops: boolean;
  /** Names of the chains that users or tools made. */
  userChains: string[];
}

/** The table `filter`; undefined where it is not in use, or cannot be read. */
export function readLegacyForward(bridge: string): LegacyChain | undefined {
  // Asking for a table creates it: only where it is there already.
  if (!tablesInUse().includes('filter')) return undefined;
  const fd = syscall('socket', AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) return undefined;
  try {
    const info = Buffer.alloc(infoSize);
    info.write('filter');
    if (getOption(fd, IPT_SO_GET_INFO, info) < 0) return undefined;
    const size = info.readUInt32LE(sizeOffset);
    const entries = Buffer.alloc(entriesOffset + size);
    entries.write('filter');
    entries.writeUInt32LE(size, 32);
    if (getOption(fd, IPT_SO_GET_ENTRIES, entries) < 0) return undefined;
    return parseForward(
      entries.subarray(entriesOffset),
      info.readUInt32LE(underflowOffset + 4 * NF_INET_FORWARD),
      bridge,
    );
  } finally {
    close(fd);
  }
}

/** Reads the table's entries; `policyAt` is the offset of the forward chain's last one, which is its policy. */
export function parseForward(entries: Buffer, policyAt: number, bridge: string): LegacyChain | undefined {
  const userChains: string[] = [];
  const named = { in: false, out: false };
  let policy: number | undefined;
  for (let at = 0; at + entrySize <= entries.length; ) {
    const next = entries.readUInt16LE(at + ENTRY_NEXT);
    const target = at + entries.readUInt16LE(at + ENTRY_TARGET);
    if (next < entrySize || target + TARGET_DATA + 4 > entries.length) return undefined;
    const name = textAt(entries, target + TARGET_NAME);
    if (name === 'ERROR') userChains.push(textAt(entries, target + TARGET_DATA));
    if (at === policyAt && name === '') policy = entries.readInt32LE(target + TARGET_DATA);
    if (textAt(entries, at + ENTRY_IN) === bridge) named.in = true;
    if (textAt(entries, at + ENTRY_OUT) === bridge) named.out = true;
    at += next;
  }
  return { drops: policy === DROP && !(named.in && named.out), userChains };
}

function textAt(bytes: Buffer, offset: number): string {
  const end = bytes.indexOf(0, offset);
  return bytes.toString('latin1', offset, Math.min(end < 0 ? bytes.length : end, offset + 32));
}

function getOption(fd: number, option: number, value: Buffer): number {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return syscall('getsockopt', fd, SOL_IP, option, value, length);
}

function tablesInUse(): string[] {
  try {
    return readFileSync('/proc/thread-self/net/ip_tables_names', 'utf8').split('\n');
  } catch {
    return [];
  }
}
