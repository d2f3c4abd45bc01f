/**
 * The instructions of nf_tables rules (linux/netfilter/nf_tables.h): each loads into, compares or uses a register.
 * Register 1 is 16 bytes wide; registers 8 to 23 are its and its three neighbours' 4-byte quarters, so that a
 * concatenation is loaded into 1 (or 8), 9, 10, …
 */
import { attribute, be32, nested, text } from './netlink-message.ts';
import { type Expression, NFPROTO_IPV6 } from './netlink-nftables.ts';

const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NF_DROP = 0;
const NF_ACCEPT = 1;
const NFT_RETURN = -5;

const metaKeys = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;

/** Loads a property of the packet. */
export function loadMeta(key: keyof typeof metaKeys, register = 1): Expression {
  return { name: 'meta', attributes: [attribute(1, be32(register)), attribute(2, be32(metaKeys[key]))] };
}

const bases = { network: 1, transport: 2 } as const;

/** Loads `length` bytes of a header. */
export function loadPayload(base: keyof typeof bases, offset: number, length: number, register = 1): Expression {
  return {
    name: 'payload',
    attributes: [
      attribute(1, be32(register)),
      attribute(2, be32(bases[base])),
      attribute(3, be32(offset)),
      attribute(4, be32(length)),
    ],
  };
}

const conntrackKeys = { state: 0, status: 2 } as const;

/** Loads what connection tracking knows: a mask of bits in host byte order. */
export function loadConntrack(key: keyof typeof conntrackKeys): Expression {
  return { name: 'ct', attributes: [attribute(1, be32(1)), attribute(2, be32(conntrackKeys[key]))] };
}

/** Loads the type (RTN_*) of the destination's route: `fib daddr type`. */
export function loadDestinationType(): Expression {
  const NFT_FIB_RESULT_ADDRTYPE = 3;
  const NFTA_FIB_F_DADDR = 2;
  return {
    name: 'fib',
    attributes: [
      attribute(1, be32(1)),
      attribute(2, be32(NFT_FIB_RESULT_ADDRTYPE)),
      attribute(3, be32(NFTA_FIB_F_DADDR)),
    ],
  };
}

/** Goes on where register 1 equals (or does not equal) `value`. */
export function compare(operator: '==' | '!=', value: Uint8Array): Expression {
  return {
    name: 'cmp',
    attributes: [
      attribute(1, be32(1)),
      attribute(2, be32(operator === '==' ? 0 : 1)),
      nested(3, attribute(NFTA_DATA_VALUE, value)),
    ],
  };
}

/** Register 1 = register 1 & `mask`. */
export function mask(value: Uint8Array): Expression {
  return {
    name: 'bitwise',
    attributes: [
      attribute(1, be32(1)),
      attribute(2, be32(1)),
      attribute(3, be32(value.length)),
      nested(4, attribute(NFTA_DATA_VALUE, value)),
      nested(5, attribute(NFTA_DATA_VALUE, Buffer.alloc(value.length))),
    ],
  };
}

/** Goes on where what register 1 begins with is in a set (or is not). Of a map the data is loaded into register 1. */
export function lookup(set: string, how: 'in' | 'not in' | 'map'): Expression {
  const attributes = [attribute(1, text(set)), attribute(2, be32(1))];
  if (how === 'map') attributes.push(attribute(3, be32(1)));
  if (how === 'not in') attributes.push(attribute(5, be32(1)));
  return { name: 'lookup', attributes };
}

/** Changes the destination to the address in register 1 and the port in the register behind it (9 or, for IPv6, 12). */
export function destinationNat(family: number): Expression {
  const NFT_NAT_DNAT = 1;
  const port = family === NFPROTO_IPV6 ? 12 : 9;
  return {
    name: 'nat',
    attributes: [
      attribute(1, be32(NFT_NAT_DNAT)),
      attribute(2, be32(family)),
      attribute(3, be32(1)),
      attribute(5, be32(port)),
    ],
  };
}

/** Changes the source to an address of the interface that the packet leaves by. */
export function masquerade(): Expression {
  return { name: 'masq', attributes: [] };
}

const verdicts = { accept: NF_ACCEPT, drop: NF_DROP, return: NFT_RETURN } as const;

/** Ends the rule (and, but for return, the chain). */
export function verdict(code: keyof typeof verdicts): Expression {
  const value = nested(NFTA_DATA_VERDICT, attribute(NFTA_VERDICT_CODE, be32(verdicts[code])));
  return { name: 'immediate', attributes: [attribute(1, be32(0)), nested(2, value)] };
}

/** Loads a value that is known beforehand. */
export function loadValue(value: Uint8Array, register = 1): Expression {
  return {
    name: 'immediate',
    attributes: [attribute(1, be32(register)), nested(2, attribute(NFTA_DATA_VALUE, value))],
  };
}
