/**
 * Other people's firewalls: a forward chain that drops what it does not know cannot be overruled from our table, since a
 * packet must pass every chain of the hook. Here such chains are found: in nf_tables, where iptables-nft, docker, ufw and
 * firewalld have theirs, and in the older iptables.
 */
import type { NetlinkSocket } from '../linux/netlink.ts';
import type { Attributes } from '../linux/netlink-message.ts';
import {
  type Chain,
  dumpChains,
  dumpRules,
  hooks,
  NFPROTO_INET,
  NFPROTO_IPV4,
  parseChain,
  parseRule,
  type Rule,
} from '../linux/netlink-nftables.ts';
import { dumpElements, parseElements } from '../linux/netlink-nftables-sets.ts';
import { interfaceName } from './elements.ts';
import { type LegacyChain, readLegacyForward } from './iptables-legacy.ts';
import { table } from './ruleset.ts';

export type FirewallTool = 'docker' | 'ufw' | 'firewalld' | 'iptables' | 'iptables-legacy' | 'nft';

/** A forward chain that drops packets of our containers. */
export interface ForeignFirewall {
  tool: FirewallTool;
  /** As nft(8) names it: `ip filter`. */
  table: string;
  chain: string;
  /** Whether its policy or its last rule drops. */
  by: 'policy' | 'rule';
}

/** The foreign chains that drop what comes from or goes to `bridge`, as far as can be seen. */
export function findForeignFirewalls(socket: NetlinkSocket, bridge: string): ForeignFirewall[] {
  const chains = socket.dump(dumpChains()).map(parseChain);
  const found: ForeignFirewall[] = [];
  for (const owner of tablesOf(chains)) {
    const own = chains.filter((chain) => chain.family === owner.family && chain.table === owner.name);
    const bases = own.filter((chain) => chain.hook === hooks.forward);
    if (bases.length === 0) continue;
    const rules = socket.dump(dumpRules(owner)).map(parseRule);
    const dropping = bases.flatMap((chain) => {
      const by = dropsBy(chain, rules);
      return by === undefined ? [] : [{ chain, by }];
    });
    if (dropping.length === 0) continue;
    const tool = toolOf(own);
    const named = namesInterface(socket, owner, rules, bridge);
    // Docker lets answers through for its own bridges only, so that both directions must be named there.
    if (named.in && (named.out || tool === 'firewalld')) continue;
    for (const { chain, by } of dropping) {
      found.push({ tool, table: `${familyName(chain.family)} ${chain.table}`, chain: chain.name, by });
    }
  }
  const legacy = readLegacyForward(bridge);
  if (legacy?.drops) {
    found.push({ tool: legacyTool(legacy), table: 'iptables-legacy filter', chain: 'FORWARD', by: 'policy' });
  }
  return found;
}

/** The tables with IPv4 packets in them, without our own. */
function tablesOf(chains: readonly Chain[]): { family: number; name: string }[] {
  const tables = new Map<string, { family: number; name: string }>();
  for (const { family, table: name } of chains) {
    if (family !== NFPROTO_IPV4 && family !== NFPROTO_INET) continue;
    if (family === table.family && name === table.name) continue;
    tables.set(`${family} ${name}`, { family, name });
  }
  return [...tables.values()];
}

function familyName(family: number): string {
  return family === NFPROTO_INET ? 'inet' : 'ip';
}

function toolOf(chains: readonly Chain[]): FirewallTool {
  const [first] = chains;
  const has = (prefix: string) => chains.some(({ name }) => name.startsWith(prefix));
  if (first?.family === NFPROTO_INET) return first.table === 'firewalld' ? 'firewalld' : 'nft';
  if (has('DOCKER-USER')) return 'docker';
  if (has('ufw-')) return 'ufw';
  return has('FORWARD') ? 'iptables' : 'nft';
}

function legacyTool(chain: LegacyChain): FirewallTool {
  if (chain.userChains.includes('DOCKER-USER')) return 'docker';
  return chain.userChains.some((name) => name.startsWith('ufw-')) ? 'ufw' : 'iptables-legacy';
}

/** A base chain drops by policy, or by a last rule without any condition. */
function dropsBy(chain: Chain, rules: readonly Rule[]): 'policy' | 'rule' | undefined {
  if (chain.policy === 'drop') return 'policy';
  const last = rules.filter((rule) => rule.chain === chain.name).at(-1);
  if (last === undefined) return undefined;
  const deeds = last.expressions.filter(({ name }) => name !== 'counter' && name !== 'log');
  const [only] = deeds;
  if (only === undefined || deeds.length > 1) return undefined;
  // iptables-nft keeps most of its targets in the form of the older iptables.
  const rejects =
    only.name === 'reject' || (only.name === 'target' && only.attributes.text(NFTA_TARGET_NAME) === 'REJECT');
  return rejects || isDropVerdict(only) ? 'rule' : undefined;
}

const NFTA_IMMEDIATE_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_META_KEY = 2;
const NFT_META_IIFNAME = 6;
const NFT_META_OIFNAME = 7;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFTA_LOOKUP_SET = 1;
const NFTA_TARGET_NAME = 1;

function isDropVerdict({ name, attributes }: { name: string; attributes: Attributes }): boolean {
  if (name !== 'immediate') return false;
  return attributes.nested(NFTA_IMMEDIATE_DATA)?.nested(NFTA_DATA_VERDICT)?.be32(NFTA_VERDICT_CODE) === 0;
}

/**
 * Whether rules of a table name an interface as the one that packets come in by, or go out by. That its owner has
 * thought of it is taken for consent: what a rule does in the end only the packets know.
 */
function namesInterface(
  socket: NetlinkSocket,
  owner: { family: number; name: string },
  rules: readonly Rule[],
  name: string,
): { in: boolean; out: boolean } {
  const named = { in: false, out: false };
  const wanted = interfaceName(name);
  const matches = (value: Buffer | undefined) =>
    // `"tsrun*"` comes without the NUL and what follows it.
    value !== undefined && value.length > 0 && wanted.subarray(0, value.length).equals(value);
  for (const { expressions } of rules) {
    let direction: 'in' | 'out' | undefined;
    for (const { name: kind, attributes } of expressions) {
      if (kind === 'meta') {
        const key = attributes.be32(NFTA_META_KEY);
        direction = key === NFT_META_IIFNAME ? 'in' : key === NFT_META_OIFNAME ? 'out' : undefined;
      } else if (direction !== undefined && kind === 'cmp' && attributes.be32(NFTA_CMP_OP) === 0) {
        if (matches(attributes.nested(NFTA_CMP_DATA)?.bytes(NFTA_DATA_VALUE))) named[direction] = true;
      } else if (direction !== undefined && kind === 'lookup') {
        const set = attributes.text(NFTA_LOOKUP_SET) ?? '';
        const elements = socket.dump(dumpElements(owner, set)).flatMap(parseElements);
        if (elements.some(({ key }) => matches(key))) named[direction] = true;
      }
    }
  }
  return named;
}
