/**
 * A small world for the network's tests: a network namespace that plays the host, one that plays another machine on its
 * uplink, and containers that are nothing but namespaces. Everything is synchronous: a socket is opened by system calls
 * in the namespace that it belongs to, so that one process plays all parts and sees both ends of every connection.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET } from '../../src/linux/constants.ts';
import { errno, errnoName } from '../../src/linux/errno.ts';
import { syscall } from '../../src/linux/ffi.ts';
import { close } from '../../src/linux/fs.ts';
import { newNetns, withNetns } from '../../src/linux/namespaces.ts';
import {
  type AttachOptions,
  attachBridge,
  type BridgeAttachment,
  createNetns,
  detachBridge,
  parsePublish,
} from '../../src/network/index.ts';

/** Runs a command in a network namespace (spawn inherits that of the calling thread); its stdout. */
export function run(netns: number, command: string): string {
  const result = withNetns(netns, () => spawnSync('sh', ['-ec', command], { encoding: 'utf8' }));
  if (result.status !== 0) throw new Error(`${command}: ${result.stderr}`);
  return result.stdout;
}

export interface TestContainer {
  id: string;
  netns: number;
  attachment: BridgeAttachment;
  portFds: number[];
}

/** The host's interface to the other machine, its address there, and that machine's. */
export const uplink = 'tsruntest0';
export const hostAddress = '198.51.100.1';
export const machineAddress = '198.51.100.2';

export class World {
  readonly host: number;
  readonly machine: number;
  readonly warnings: string[] = [];
  readonly containers: TestContainer[] = [];
  private readonly directory: string;
  private readonly environment: { root: string | undefined; state: string | undefined };

  /** `real`: the host is this machine itself. */
  constructor(private readonly o: { forward?: boolean; real?: boolean } = {}) {
    this.environment = { root: process.env.TSRUN_ROOT, state: process.env.TSRUN_STATE };
    this.directory = mkdtempSync('/var/tmp/tsrun-network.');
    process.env.TSRUN_ROOT = join(this.directory, 'root');
    process.env.TSRUN_STATE = join(this.directory, 'state');
    this.host = o.real === true ? openSync('/proc/thread-self/ns/net', 'r') : newNetns();
    this.machine = newNetns();
    if (o.real !== true) {
      run(this.host, `ip link set lo up; sysctl -qw net.ipv4.ip_forward=${o.forward === false ? 0 : 1}`);
    }
    run(this.machine, 'ip link set lo up');
    run(
      this.host,
      `ip link add ${uplink} type veth peer name eth0 netns /proc/${process.pid}/fd/${this.machine}
       ip address add ${hostAddress}/24 dev ${uplink}; ip link set ${uplink} up mtu 1400`,
    );
    run(this.machine, `ip address add ${machineAddress}/24 dev eth0; ip link set eth0 up mtu 1400`);
    // A carrier is seen a little later; what is sent before is lost.
    run(this.host, `for i in $(seq 500); do ip link show ${uplink} | grep -q "state UP" && break; sleep 0.01; done`);
  }

  /** Starts a "container": a namespace on the bridge. */
  start(publish: string[] = [], options: Partial<AttachOptions> = {}): TestContainer {
    const id = options.containerId ?? randomBytes(32).toString('hex');
    const netns = options.netns ?? createNetns();
    try {
      const { attachment, portFds } = withNetns(this.host, () =>
        attachBridge({
          containerId: id,
          netns,
          ports: publish.flatMap(parsePublish),
          inUse: () =>
            this.containers.map(({ id: containerId, attachment: { address, ports } }) => ({
              containerId,
              address,
              ports,
            })),
          onWarning: (text) => this.warnings.push(text),
          portOwner: () => undefined,
          ...options,
        }),
      );
      const container = { id, netns, attachment, portFds };
      this.containers.push(container);
      return container;
    } catch (error) {
      if (options.netns === undefined) close(netns);
      throw error;
    }
  }

  /** Ends a container as the engine does it. */
  stop(container: TestContainer, cable: 'delete' | 'leave' = 'delete'): void {
    this.forget(container);
    withNetns(this.host, () => detachBridge({ attachment: container.attachment, containerId: container.id, cable }));
  }

  /** Ends a container as kill -9 of everything does it: nobody cleans up. */
  forget(container: TestContainer): void {
    this.containers.splice(this.containers.indexOf(container), 1);
    close(container.netns);
    container.portFds.forEach(close);
  }

  /** The table of nf_tables as nft(8) prints it. */
  ruleset(): string {
    return run(this.host, 'nft list table inet tsrun');
  }

  /** Names of interfaces of the host that look like host ends. */
  cables(): string[] {
    return run(this.host, 'ip -o link show type veth')
      .split('\n')
      .map((line) => line.split(/[ :@]+/)[1] ?? '')
      .filter((name) => /^ts[0-9a-f]{11}$/.test(name));
  }

  destroy(): void {
    for (const container of [...this.containers]) this.stop(container);
    if (this.o.real === true) run(this.host, `ip link delete ${uplink}`);
    close(this.machine);
    close(this.host);
    rmSync(this.directory, { recursive: true });
    restore('TSRUN_ROOT', this.environment.root);
    restore('TSRUN_STATE', this.environment.state);
  }
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_REUSEADDR = 2;

function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}

function openSocket(netns: number, type: number, timeout: number): number {
  const fd = withNetns(netns, () => syscall('socket', AF_INET, type | SOCK_CLOEXEC, 0));
  if (fd < 0) throw new Error(`socket: ${errnoName(fd)}`);
  const time = Buffer.alloc(16);
  time.writeUInt32LE(Math.floor(timeout / 1000), 0);
  time.writeUInt32LE((timeout % 1000) * 1000, 8);
  syscall('setsockopt', fd, SOL_SOCKET, SO_RCVTIMEO, time, 16);
  syscall('setsockopt', fd, SOL_SOCKET, SO_SNDTIMEO, time, 16);
  return fd;
}

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(result)}`);
  return result;
}

/** A TCP socket that listens in a namespace. Close it. */
export function listenTcp(netns: number, address: string, port: number): number {
  const fd = openSocket(netns, SOCK_STREAM, 2000);
  syscall('setsockopt', fd, SOL_SOCKET, SO_REUSEADDR, Buffer.of(1, 0, 0, 0), 4);
  must(syscall('bind', fd, socketAddress(address, port), 16), `bind ${address}:${port}`);
  must(syscall('listen', fd, 16), 'listen');
  return fd;
}

export interface Meeting {
  /** `connected`, or the name of the errno. EINPROGRESS: no answer. */
  result: string;
  /** The address that the server saw. */
  peer: string;
  /** What the client read: the server's greeting. */
  received: string;
}

/** Connects from a namespace to an address; a server behind `listener` greets. `timeout` in milliseconds. */
export function meet(from: number, address: string, port: number, listener: number, timeout = 2000): Meeting {
  const client = openSocket(from, SOCK_STREAM, timeout);
  try {
    const connected = syscall('connect', client, socketAddress(address, port), 16);
    if (connected < 0) return { result: errnoName(connected), peer: '', received: '' };
    const peer = Buffer.alloc(16);
    const server = syscall('accept4', listener, peer, Buffer.of(16, 0, 0, 0), SOCK_CLOEXEC);
    if (server < 0) return { result: `nobody accepted: ${errnoName(server)}`, peer: '', received: '' };
    syscall('write', server, Buffer.from('hello from the container'), 24);
    const received = Buffer.alloc(64);
    const size = syscall('read', client, received, received.length);
    close(server);
    return {
      result: 'connected',
      peer: peer.subarray(4, 8).join('.'),
      received: size < 0 ? errnoName(size) : received.toString('utf8', 0, size),
    };
  } finally {
    close(client);
  }
}

/** What connecting ends with where nobody accepts. */
export function tryConnect(from: number, address: string, port: number, timeout = 1000): string {
  const client = openSocket(from, SOCK_STREAM, timeout);
  const result = syscall('connect', client, socketAddress(address, port), 16);
  close(client);
  return result < 0 ? errnoName(result) : 'connected';
}

/** A UDP socket bound in a namespace; port 0 leaves the choice to the kernel. Close it. */
export function bindUdp(netns: number, address: string, port: number, timeout = 1000): number {
  const fd = openSocket(netns, SOCK_DGRAM, timeout);
  must(syscall('bind', fd, socketAddress(address, port), 16), `bind ${address}:${port}`);
  return fd;
}

export function sendUdp(fd: number, address: string, port: number, text: string): void {
  const bytes = Buffer.from(text);
  must(syscall('sendto', fd, bytes, bytes.length, 0, socketAddress(address, port), 16), 'sendto');
}

/** The next datagram and its sender; undefined after the time-out. */
export function receiveUdp(fd: number): { text: string; address: string; port: number } | undefined {
  const bytes = Buffer.alloc(2048);
  const sender = Buffer.alloc(16);
  const size = syscall('recvfrom', fd, bytes, bytes.length, 0, sender, Buffer.of(16, 0, 0, 0));
  if (size === -errno.EAGAIN) return undefined;
  must(size, 'recvfrom');
  return {
    text: bytes.toString('utf8', 0, size),
    address: sender.subarray(4, 8).join('.'),
    port: sender.readUInt16BE(2),
  };
}
