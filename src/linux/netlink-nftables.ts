/**
 * nf_tables over nfnetlink: tables, chains and rules as requests for a NETLINK_NETFILTER socket
 * (linux/netfilter/nfnetlink.h, nf_tables.h; `nft --debug=netlink` prints rules in the same words).
 * Integers in attributes are in network byte order. Changes are made in transactions (`transaction`).
 */
import { errno } from './errno.ts';
import type { NetlinkRequest, NetlinkSocket } from './netlink.ts';
import {
  Attributes,
  attribute,
  be16,
  be32,
  malformed,
  type NetlinkMessage,
  NLM_F_APPEND,
  NLM_F_CREATE,
  nested,
  text,
  u8,
} from './netlink-message.ts';

export const NFPROTO_UNSPEC = 0;
export const NFPROTO_INET = 1;
export const NFPROTO_IPV4 = 2;
export const NFPROTO_IPV6 = 10;
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_DELTABLE = 2;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_GETRULE = 7;
const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_USERDATA = 6;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_RULE_USERDATA = 7;
export const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const UDATA_COMMENT = 0;

/** A table by family (NFPROTO_*) and name. */
export interface TableId {
  family: number;
  name: string;
}

/** A request of nf_tables: struct nfgenmsg and attributes. */
export function nftRequest(
  message: number,
  flags: number,
  family: number,
  attributes: readonly Uint8Array[],
  action: string,
): NetlinkRequest {
  const header = Buffer.of(family, 0, 0, 0);
  return { type: (NFNL_SUBSYS_NFTABLES << 8) | message, flags, body: Buffer.concat([header, ...attributes]), action };
}

/** All of `requests` takes effect at once, or nothing. Throws NetlinkError for the first that the kernel refuses. */
export function transaction(socket: NetlinkSocket, action: string, requests: readonly NetlinkRequest[]): void {
  const body = Buffer.concat([Buffer.of(NFPROTO_UNSPEC, 0), be16(NFNL_SUBSYS_NFTABLES)]);
  const begin = { type: NFNL_MSG_BATCH_BEGIN, flags: 0, body, action };
  socket.transact(begin, requests, { ...begin, type: NFNL_MSG_BATCH_END });
}

/** What nft(8) shows as `comment "…"`: a list of type, length, value. */
export function comment(value: string): Buffer {
  const bytes = text(value);
  return Buffer.concat([u8(UDATA_COMMENT), u8(bytes.length), bytes]);
}

/** The comment in user data; undefined without. */
export function commentOf(userdata: Buffer | undefined): string | undefined {
  for (let at = 0; userdata !== undefined && at + 2 <= userdata.length; at += 2 + userdata.readUInt8(at + 1)) {
    if (userdata[at] !== UDATA_COMMENT) continue;
    const end = at + 2 + userdata.readUInt8(at + 1);
    return userdata.toString('utf8', at + 2, end).replace(/\0.*$/s, '');
  }
  return undefined;
}

export function newTable(table: TableId, note: string): NetlinkRequest {
  const attributes = [attribute(NFTA_TABLE_NAME, text(table.name)), attribute(NFTA_TABLE_USERDATA, comment(note))];
  return nftRequest(NFT_MSG_NEWTABLE, NLM_F_CREATE, table.family, attributes, `create nf_tables table "${table.name}"`);
}

export function deleteTable(table: TableId): NetlinkRequest {
  const attributes = [attribute(NFTA_TABLE_NAME, text(table.name))];
  return nftRequest(NFT_MSG_DELTABLE, 0, table.family, attributes, `delete nf_tables table "${table.name}"`);
}

/** Asks for one table; its comment is read by `parseTable`. A table that does not exist (ENOENT) is tolerated. */
export function getTable(table: TableId): NetlinkRequest {
  const attributes = [attribute(NFTA_TABLE_NAME, text(table.name))];
  const action = `look at nf_tables table "${table.name}"`;
  return { ...nftRequest(NFT_MSG_GETTABLE, 0, table.family, attributes, action), tolerate: [errno.ENOENT] };
}

export function parseTable(message: NetlinkMessage): { name: string; comment: string | undefined } {
  const attributes = attributesOf(message);
  return { name: attributes.text(NFTA_TABLE_NAME) ?? '', comment: commentOf(attributes.bytes(NFTA_TABLE_USERDATA)) };
}

/** Hooks of the families ip, ip6 and inet. */
export const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export interface BaseChain {
  name: string;
  type: 'filter' | 'nat';
  hook: keyof typeof hooks;
  priority: number;
}

/** Creates a base chain with policy accept. */
export function newChain(table: TableId, chain: BaseChain): NetlinkRequest {
  const hook = [
    attribute(NFTA_HOOK_HOOKNUM, be32(hooks[chain.hook])),
    attribute(NFTA_HOOK_PRIORITY, be32(chain.priority)),
  ];
  const attributes = [
    attribute(NFTA_CHAIN_TABLE, text(table.name)),
    attribute(NFTA_CHAIN_NAME, text(chain.name)),
    nested(NFTA_CHAIN_HOOK, ...hook),
    attribute(NFTA_CHAIN_POLICY, be32(1)),
    attribute(NFTA_CHAIN_TYPE, text(chain.type)),
  ];
  return nftRequest(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table.family, attributes, `create nf_tables chain "${chain.name}"`);
}

/** Dump request: the chains of all tables. A kernel without nf_tables answers with nothing. */
export function dumpChains(): NetlinkRequest {
  return nftRequest(NFT_MSG_GETCHAIN, 0, NFPROTO_UNSPEC, [], 'list nf_tables chains');
}

export interface Chain {
  family: number;
  table: string;
  name: string;
  /** Of base chains: number of the hook. */
  hook: number | undefined;
  policy: 'accept' | 'drop' | undefined;
}

export function parseChain(message: NetlinkMessage): Chain {
  const attributes = attributesOf(message);
  const policy = attributes.be32(NFTA_CHAIN_POLICY);
  return {
    family: message.body.readUInt8(0),
    table: attributes.text(NFTA_CHAIN_TABLE) ?? '',
    name: attributes.text(NFTA_CHAIN_NAME) ?? '',
    hook: attributes.nested(NFTA_CHAIN_HOOK)?.be32(NFTA_HOOK_HOOKNUM),
    policy: policy === undefined ? undefined : policy === 0 ? 'drop' : 'accept',
  };
}

/** One step of a rule; netlink-nftables-expressions.ts makes them. */
export interface Expression {
  name: string;
  attributes: readonly Uint8Array[];
}

/** Appends a rule to a chain. */
export function newRule(
  table: TableId,
  chain: string,
  expressions: readonly Expression[],
  note?: string,
): NetlinkRequest {
  const list = expressions.map(({ name, attributes }) =>
    nested(NFTA_LIST_ELEM, attribute(NFTA_EXPR_NAME, text(name)), nested(NFTA_EXPR_DATA, ...attributes)),
  );
  const attributes = [
    attribute(NFTA_RULE_TABLE, text(table.name)),
    attribute(NFTA_RULE_CHAIN, text(chain)),
    nested(NFTA_RULE_EXPRESSIONS, ...list),
  ];
  if (note !== undefined) attributes.push(attribute(NFTA_RULE_USERDATA, comment(note)));
  const flags = NLM_F_CREATE | NLM_F_APPEND;
  return nftRequest(NFT_MSG_NEWRULE, flags, table.family, attributes, `add a rule to nf_tables chain "${chain}"`);
}

/** Dump request: the rules of one table. */
export function dumpRules(table: TableId): NetlinkRequest {
  const attributes = [attribute(NFTA_RULE_TABLE, text(table.name))];
  const action = `list the rules of nf_tables table "${table.name}"`;
  return { ...nftRequest(NFT_MSG_GETRULE, 0, table.family, attributes, action), tolerate: [errno.ENOENT] };
}

export interface Rule {
  family: number;
  table: string;
  chain: string;
  /** The kernel's number for it, which `nft -a list` shows; 0 where it does not tell. */
  handle: number;
  comment: string | undefined;
  expressions: { name: string; attributes: Attributes }[];
}

export function parseRule(message: NetlinkMessage): Rule {
  const attributes = attributesOf(message);
  const list = attributes.nested(NFTA_RULE_EXPRESSIONS)?.entries ?? [];
  return {
    family: message.body.readUInt8(0),
    table: attributes.text(NFTA_RULE_TABLE) ?? '',
    chain: attributes.text(NFTA_RULE_CHAIN) ?? '',
    handle: attributes.be64(NFTA_RULE_HANDLE) ?? 0,
    comment: commentOf(attributes.bytes(NFTA_RULE_USERDATA)),
    expressions: list.map(({ value }) => {
      const expression = new Attributes(value);
      return {
        name: expression.text(NFTA_EXPR_NAME) ?? '',
        attributes: expression.nested(NFTA_EXPR_DATA) ?? new Attributes(Buffer.alloc(0)),
      };
    }),
  };
}

/** Behind struct nfgenmsg. */
export function attributesOf(message: NetlinkMessage): Attributes {
  if (message.body.length < 4) throw malformed('an nf_tables answer ends inside its header');
  return new Attributes(message.body.subarray(4));
}
