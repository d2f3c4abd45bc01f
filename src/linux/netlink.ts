/**
 * A netlink socket for requests (man 7 netlink): many in one datagram, each acknowledged by the kernel or refused with an
 * errno and often a sentence that says why (extended acknowledgement). The kernel works a datagram off inside sendto(2),
 * so that all answers wait in the socket when it returns, and nothing here ever blocks.
 */
import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from './constants.ts';
import { errno, errnoName, SyscallError } from './errno.ts';
import { syscall } from './ffi.ts';
import { check, close, uninterrupted } from './fs.ts';
import {
  Attributes,
  decodeMessages,
  encodeMessage,
  malformed,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from './netlink-message.ts';

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10; // Linux 4.3: an error does not carry the request back
const NETLINK_EXT_ACK = 11; // Linux 4.12
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** What is asked of the kernel; made by the functions of netlink-route.ts and netlink-nftables.ts. */
export interface NetlinkRequest {
  type: number;
  /** NLM_F_*, beside NLM_F_REQUEST and NLM_F_ACK, which the socket adds. */
  flags: number;
  body: Uint8Array;
  /** What it does, for errors: `create bridge "tsrun0"`. */
  action: string;
  /** Errnos that are as good as success. */
  tolerate?: readonly number[];
}

/** What became of one request. */
export interface NetlinkAnswer {
  /** Data the kernel sent (for GET requests). */
  messages: NetlinkMessage[];
  /** An error that the request tolerates. */
  error?: NetlinkError;
}

/** A refused request: `create bridge "tsrun0": EEXIST (…)`. */
export class NetlinkError extends SyscallError {
  /** Which request of the datagram it was, from 0. */
  readonly index: number;
  /** The kernel's own sentence, where it gave one. */
  readonly detail: string | undefined;

  constructor(action: string, number: number, index: number, detail: string | undefined) {
    super('netlink', number, action, number === errno.EPERM ? { hint: 'this needs root (CAP_NET_ADMIN)' } : {});
    this.name = 'NetlinkError';
    this.index = index;
    this.detail = detail;
    this.message = `cannot ${action}: ${errnoName(number)}${detail ? ` (${detail})` : ''}`;
  }
}

const requestsPerDatagram = 64;

/** Receives up to this many bytes at once; the kernel fills dumps to at most 32 KiB. */
const receiveBuffer = Buffer.alloc(64 * 1024);

/** A netlink socket of the calling thread's network namespace. Close it. */
export class NetlinkSocket {
  private sequence = 1;

  private constructor(private readonly fd: number) {}

  /** `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER. Throws SyscallError. */
  static open(protocol: number): NetlinkSocket {
    const fd = check(syscall('socket', AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), 'socket', 'AF_NETLINK');
    const one = Buffer.of(1, 0, 0, 0);
    syscall('setsockopt', fd, SOL_NETLINK, NETLINK_CAP_ACK, one, one.length);
    syscall('setsockopt', fd, SOL_NETLINK, NETLINK_EXT_ACK, one, one.length);
    return new NetlinkSocket(fd);
  }

  close(): void {
    close(this.fd);
  }

  /**
   * Closes the socket a little later, or with the process. Closing one of nf_tables just after a deletion waits until
   * the kernel has freed what was deleted (10 ms), unless it has begun with that.
   */
  closeLater(): void {
    setTimeout(() => close(this.fd), 5).unref();
  }

  /**
   * Sends requests, all in one datagram (per 64: more answers could overflow the socket). The kernel does them in order
   * and goes on after an error: check what depends on what. Returns one answer per request; throws the first error that
   * its request does not tolerate.
   */
  run(requests: readonly NetlinkRequest[]): NetlinkAnswer[] {
    const answers: NetlinkAnswer[] = requests.map(() => ({ messages: [] }));
    let acknowledged = 0;
    let failure: NetlinkError | undefined;
    for (let start = 0; start < requests.length; start += requestsPerDatagram) {
      const part = requests.slice(start, start + requestsPerDatagram);
      const first = this.sequence - start;
      this.sequence += part.length;
      this.send(
        part.map(({ type, flags, body }, i) =>
          encodeMessage(type, flags | NLM_F_REQUEST | NLM_F_ACK, first + start + i, body),
        ),
      );
      this.drain((message) => {
        const index = message.sequence - first;
        const request = requests[index];
        const answer = answers[index];
        if (request === undefined || answer === undefined) return;
        if (message.type !== NLMSG_ERROR) {
          answer.messages.push(message);
          return;
        }
        acknowledged++;
        const error = decodeError(message, request.action, index);
        if (error === undefined) return;
        if (request.tolerate?.includes(error.errno)) answer.error = error;
        else failure ??= error;
      });
    }
    if (failure !== undefined) throw failure;
    if (acknowledged < requests.length)
      throw malformed(`${requests.length - acknowledged} acknowledgements are missing`);
    return answers;
  }

  /**
   * Sends a transaction of nf_tables: all of it takes effect, or nothing. Throws the first error that the kernel names;
   * its `index` counts the requests given here.
   */
  transact(begin: NetlinkRequest, requests: readonly NetlinkRequest[], end: NetlinkRequest): void {
    const first = this.sequence;
    const last = first + requests.length + 1;
    this.sequence = last + 1;
    const messages = [begin, ...requests, end].map((request, i) => {
      // One acknowledgement is enough, of the last request; errors come unasked, and hundreds would fill the socket.
      const ack = i === requests.length ? NLM_F_ACK : 0;
      return encodeMessage(request.type, request.flags | NLM_F_REQUEST | ack, first + i, request.body);
    });
    this.send(messages);
    let done = false;
    let failure: NetlinkError | undefined;
    this.drain((message) => {
      if (message.type !== NLMSG_ERROR || message.sequence < first || message.sequence > last) return;
      const index = message.sequence - first - 1;
      // An error of the commit itself is told for the begin message.
      const error = decodeError(message, requests[index]?.action ?? begin.action, index);
      if (error !== undefined) failure ??= error;
      else if (index === requests.length - 1) done = true;
    });
    if (failure !== undefined) throw failure;
    if (!done) throw malformed('a transaction was not acknowledged');
  }

  /**
   * All objects that a dump request names (NLM_F_DUMP is added). Where the kernel says that they changed meanwhile
   * (NLM_F_DUMP_INTR) the dump is taken again, up to ten times.
   */
  dump(request: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0; ; attempt++) {
      const sequence = this.sequence++;
      this.send([encodeMessage(request.type, request.flags | NLM_F_REQUEST | NLM_F_DUMP, sequence, request.body)]);
      const messages: NetlinkMessage[] = [];
      let consistent = true;
      let done = false;
      let failure: NetlinkError | undefined;
      while (!done) {
        const part = this.receive();
        if (part === undefined) throw malformed('a dump has no end');
        for (const message of part) {
          if (message.sequence !== sequence) continue;
          if ((message.flags & NLM_F_DUMP_INTR) !== 0) consistent = false;
          if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
            failure = decodeError(message, request.action, 0);
            done = true;
          } else {
            messages.push(message);
          }
        }
      }
      if (failure !== undefined && failure.errno !== errno.EINTR) {
        if (!request.tolerate?.includes(failure.errno)) throw failure;
        return [];
      }
      if ((consistent && failure === undefined) || attempt === 10) return messages;
    }
  }

  private send(messages: readonly Uint8Array[]): void {
    const datagram = Buffer.concat(messages);
    const sent = uninterrupted(() => syscall('sendto', this.fd, datagram, datagram.length, 0, 0, 0));
    check(sent, 'sendto', 'AF_NETLINK');
  }

  /** One datagram, copied out of the shared buffer; undefined where none waits. */
  private receive(): NetlinkMessage[] | undefined {
    const size = uninterrupted(() =>
      syscall('recvfrom', this.fd, receiveBuffer, receiveBuffer.length, MSG_DONTWAIT, 0, 0),
    );
    if (size === -errno.EAGAIN) return undefined;
    check(size, 'recvfrom', 'AF_NETLINK');
    return decodeMessages(Buffer.from(receiveBuffer.subarray(0, size)));
  }

  private drain(each: (message: NetlinkMessage) => void): void {
    for (let part = this.receive(); part !== undefined; part = this.receive())
      for (const message of part) each(message);
  }
}

/** The error in an NLMSG_ERROR or NLMSG_DONE message; undefined for an acknowledgement. */
function decodeError(message: NetlinkMessage, action: string, index: number): NetlinkError | undefined {
  if (message.body.length < 4) {
    if (message.type === NLMSG_DONE) return undefined;
    throw malformed('an acknowledgement ends inside its errno');
  }
  const number = message.body.readInt32LE(0);
  if (number >= 0) return undefined;
  return new NetlinkError(action, -number, index, detailOf(message));
}

/** The sentence of an extended acknowledgement. It stands behind the request's header, or behind the whole request. */
function detailOf(message: NetlinkMessage): string | undefined {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return undefined;
  let offset = 4;
  if (message.type === NLMSG_ERROR) {
    if (message.body.length < 20) return undefined;
    offset += (message.flags & NLM_F_CAPPED) !== 0 ? 16 : message.body.readUInt32LE(4);
  }
  if (offset > message.body.length) return undefined;
  return new Attributes(message.body.subarray((offset + 3) & ~3)).text(NLMSGERR_ATTR_MSG);
}
