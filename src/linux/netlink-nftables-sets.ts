/**
 * Sets and maps of nf_tables and their elements, as requests and answers (linux/netfilter/nf_tables.h).
 */
import { errno } from './errno.ts';
import type { NetlinkRequest } from './netlink.ts';
import {
  Attributes,
  attribute,
  be32,
  type NetlinkMessage,
  NLM_F_CREATE,
  nested,
  text,
  u8,
  u32,
} from './netlink-message.ts';
import { attributesOf, comment, commentOf, NFTA_LIST_ELEM, nftRequest, type TableId } from './netlink-nftables.ts';

const NFT_MSG_NEWSET = 9;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_FLAGS = 3;
const NFTA_SET_KEY_TYPE = 4;
const NFTA_SET_KEY_LEN = 5;
const NFTA_SET_DATA_TYPE = 6;
const NFTA_SET_DATA_LEN = 7;
const NFTA_SET_ID = 10;
const NFTA_SET_USERDATA = 13;
const UDATA_KEY_BYTE_ORDER = 0;
const NFT_SET_INTERVAL = 4;
const NFT_SET_MAP = 8;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_SET_ELEM_USERDATA = 6;
export const NFT_SET_ELEM_INTERVAL_END = 1;
const NFTA_DATA_VALUE = 1;
/** An element takes about 100 bytes, and a list of them must fit an attribute of 64 KiB. */
const elementsPerMessage = 256;

/** A type of nft(8): its number there (which the kernel keeps for it and does not read), and its bytes in a key. */
export const types = {
  ipv4_addr: { id: 7, size: 4 },
  ipv6_addr: { id: 8, size: 16 },
  inet_proto: { id: 12, size: 1 },
  inet_service: { id: 13, size: 2 },
  ifname: { id: 41, size: 16 },
} as const;
export type TypeName = keyof typeof types;

/** Concatenated types: nft packs their numbers into 6 bits each; in the kernel each begins at a multiple of 4 bytes. */
function concatenation(names: readonly TypeName[]): { id: number; size: number } {
  const [only] = names;
  if (only !== undefined && names.length === 1) return types[only];
  let id = 0;
  let size = 0;
  for (const name of names) {
    id = (id << 6) | types[name].id;
    size += (types[name].size + 3) & ~3;
  }
  return { id, size };
}

export interface SetDefinition {
  name: string;
  key: readonly TypeName[];
  /** Makes it a map. */
  data?: readonly TypeName[];
  /** Its elements are ranges: a start, and an end with NFT_SET_ELEM_INTERVAL_END. */
  interval?: boolean;
}

/** `id` is any number of its own within the transaction. */
export function newSet(table: TableId, set: SetDefinition, id: number): NetlinkRequest {
  const key = concatenation(set.key);
  const flags = (set.interval === true ? NFT_SET_INTERVAL : 0) | (set.data === undefined ? 0 : NFT_SET_MAP);
  // nft(8) prints names of interfaces only where it is told that they are in host byte order (1).
  const hostOrder = set.key.length === 1 && set.key[0] === 'ifname';
  const attributes = [
    attribute(NFTA_SET_TABLE, text(table.name)),
    attribute(NFTA_SET_NAME, text(set.name)),
    attribute(NFTA_SET_FLAGS, be32(flags)),
    attribute(NFTA_SET_KEY_TYPE, be32(key.id)),
    attribute(NFTA_SET_KEY_LEN, be32(key.size)),
    attribute(NFTA_SET_ID, be32(id)),
  ];
  if (set.data !== undefined) {
    const data = concatenation(set.data);
    attributes.push(attribute(NFTA_SET_DATA_TYPE, be32(data.id)), attribute(NFTA_SET_DATA_LEN, be32(data.size)));
  }
  if (hostOrder) {
    attributes.push(attribute(NFTA_SET_USERDATA, Buffer.concat([u8(UDATA_KEY_BYTE_ORDER), u8(4), u32(1)])));
  }
  return nftRequest(NFT_MSG_NEWSET, NLM_F_CREATE, table.family, attributes, `create nf_tables set "${set.name}"`);
}

export interface Element {
  key: Buffer;
  /** Of a map. */
  data?: Buffer | undefined;
  comment?: string | undefined;
  /** NFT_SET_ELEM_* */
  flags?: number | undefined;
}

function encodeElement(element: Element): Buffer {
  const attributes = [nested(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, element.key))];
  if (element.data !== undefined) {
    attributes.push(nested(NFTA_SET_ELEM_DATA, attribute(NFTA_DATA_VALUE, element.data)));
  }
  if (element.flags) attributes.push(attribute(NFTA_SET_ELEM_FLAGS, be32(element.flags)));
  if (element.comment !== undefined) attributes.push(attribute(NFTA_SET_ELEM_USERDATA, comment(element.comment)));
  return nested(NFTA_LIST_ELEM, ...attributes);
}

function elementList(table: TableId, set: string, elements: readonly Element[]): Buffer[] {
  return [
    attribute(NFTA_SET_ELEM_LIST_TABLE, text(table.name)),
    attribute(NFTA_SET_ELEM_LIST_SET, text(set)),
    nested(NFTA_SET_ELEM_LIST_ELEMENTS, ...elements.map(encodeElement)),
  ];
}

/** Adds elements. One that exists with the same data stays; with other data the kernel answers EBUSY. */
export function addElements(table: TableId, set: string, elements: readonly Element[]): NetlinkRequest[] {
  const requests: NetlinkRequest[] = [];
  for (let i = 0; i < elements.length; i += elementsPerMessage) {
    const list = elementList(table, set, elements.slice(i, i + elementsPerMessage));
    requests.push(nftRequest(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table.family, list, `add to nf_tables set "${set}"`));
  }
  return requests;
}

/** Deletes elements by their keys (and flags); where one is missing (ENOENT) the whole transaction fails. */
export function deleteElements(
  table: TableId,
  set: string,
  elements: readonly Pick<Element, 'key' | 'flags'>[],
): NetlinkRequest[] {
  const requests: NetlinkRequest[] = [];
  for (let i = 0; i < elements.length; i += elementsPerMessage) {
    const part = elements.slice(i, i + elementsPerMessage).map(({ key, flags }) => ({ key, flags }));
    const list = elementList(table, set, part);
    requests.push(nftRequest(NFT_MSG_DELSETELEM, 0, table.family, list, `delete from nf_tables set "${set}"`));
  }
  return requests;
}

/** Asks for one element by its key. That it, its set or its table does not exist is tolerated. */
export function getElement(table: TableId, set: string, key: Buffer): NetlinkRequest {
  const list = elementList(table, set, [{ key }]);
  const action = `look into nf_tables set "${set}"`;
  return { ...nftRequest(NFT_MSG_GETSETELEM, 0, table.family, list, action), tolerate: [errno.ENOENT] };
}

/** Dump request: all elements of a set. That it does not exist is tolerated. */
export function dumpElements(table: TableId, set: string): NetlinkRequest {
  const list = [attribute(NFTA_SET_ELEM_LIST_TABLE, text(table.name)), attribute(NFTA_SET_ELEM_LIST_SET, text(set))];
  const action = `list nf_tables set "${set}"`;
  return { ...nftRequest(NFT_MSG_GETSETELEM, 0, table.family, list, action), tolerate: [errno.ENOENT] };
}

/** Reads the elements of an answer to `getElement` or `dumpElements`. Throws `CORRUPT`. */
export function parseElements(message: NetlinkMessage): Element[] {
  const list = attributesOf(message).nested(NFTA_SET_ELEM_LIST_ELEMENTS)?.entries ?? [];
  return list.map(({ value }) => {
    const attributes = new Attributes(value);
    return {
      key: attributes.nested(NFTA_SET_ELEM_KEY)?.bytes(NFTA_DATA_VALUE) ?? Buffer.alloc(0),
      data: attributes.nested(NFTA_SET_ELEM_DATA)?.bytes(NFTA_DATA_VALUE),
      comment: commentOf(attributes.bytes(NFTA_SET_ELEM_USERDATA)),
      flags: attributes.be32(NFTA_SET_ELEM_FLAGS),
    };
  });
}
