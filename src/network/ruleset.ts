/**
 * The one nf_tables table of tsrun. Its rules never grow: they look into sets and maps, whose elements are the networks
 * and the published ports. Each rule stands here three times: why it is there, as nft(8) writes it, and as the
 * instructions that the kernel gets; a test holds the two forms together by what `nft list table` prints.
 */
import type { NetlinkRequest } from '../linux/netlink.ts';
import {
  type BaseChain,
  type Expression,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  newChain,
  newRule,
  newTable,
} from '../linux/netlink-nftables.ts';
import {
  compare,
  destinationNat,
  loadConntrack,
  loadDestinationType,
  loadMeta,
  loadPayload,
  lookup,
  mask,
  masquerade,
  verdict,
} from '../linux/netlink-nftables-expressions.ts';
import { newSet, type SetDefinition } from '../linux/netlink-nftables-sets.ts';
import { RTN_LOCAL } from '../linux/netlink-route.ts';

export const table = { family: NFPROTO_INET, name: 'tsrun' } as const;

/** Raise it with every change below: a table with a lower number is replaced, its elements kept. */
export const rulesetVersion = 2;

/** The table's comment. */
function commentOf(version: number): string {
  return `tsrun ruleset ${version}`;
}

/** The version that a table's comment tells, 0 for any other text. */
export function versionOf(comment: string | undefined): number {
  return Number(/^tsrun ruleset (\d+)$/.exec(comment ?? '')?.[1] ?? 0);
}

export const sets = {
  /** Our bridges. */
  bridges: { name: 'bridges', key: ['ifname'] },
  /**
   * From each bridge to itself: where br_netfilter is on, frames between its ports pass the forward hook. Not of a
   * network whose members may not reach each other.
   */
  links: { name: 'links', key: ['ifname', 'ifname'] },
  /** Bridges of networks without a way out. */
  internal: { name: 'internal', key: ['ifname'] },
  subnets: { name: 'subnets', key: ['ipv4_addr'], interval: true },
  subnets6: { name: 'subnets6', key: ['ipv6_addr'], interval: true },
  /** Subnets whose containers leave under an address of this machine. */
  masqueraded: { name: 'masqueraded', key: ['ipv4_addr'], interval: true },
  masqueraded6: { name: 'masqueraded6', key: ['ipv6_addr'], interval: true },
  published: {
    name: 'published',
    key: ['ipv4_addr', 'inet_proto', 'inet_service'],
    data: ['ipv4_addr', 'inet_service'],
  },
  published_any: { name: 'published_any', key: ['inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] },
  published6: {
    name: 'published6',
    key: ['ipv6_addr', 'inet_proto', 'inet_service'],
    data: ['ipv6_addr', 'inet_service'],
  },
  published6_any: { name: 'published6_any', key: ['inet_proto', 'inet_service'], data: ['ipv6_addr', 'inet_service'] },
} as const satisfies Record<string, SetDefinition>;
export type SetName = keyof typeof sets;
export const setNames = [
  ...(['bridges', 'links', 'internal', 'subnets', 'subnets6', 'masqueraded', 'masqueraded6'] as const),
  ...(['published', 'published_any', 'published6', 'published6_any'] as const),
] as const satisfies SetName[];
/** The sets whose elements are published ports. */
export const portSets = ['published', 'published_any', 'published6', 'published6_any'] as const satisfies SetName[];

interface RuleText {
  why: string;
  /** As nft(8) prints it. */
  text: string;
  expressions: Expression[];
}

interface ChainText extends BaseChain {
  /** As nft(8) prints the priority. */
  priorityText: string;
  rules: RuleText[];
}

/** Chains and their rules, in the order that a packet meets them. A function: few commands need it. */
function chains(): ChainText[] {
  const zero = Buffer.alloc(4);
  const ipv4 = [loadMeta('nfproto'), compare('==', Buffer.of(NFPROTO_IPV4))];
  const source = loadPayload('network', 12, 4);
  const destination = loadPayload('network', 16, 4);
  const fromLoopback = [...ipv4, loadPayload('network', 12, 1), compare('==', Buffer.of(127))];
  const toLoopback = [...ipv4, loadPayload('network', 16, 1), compare('==', Buffer.of(127))];
  const local = [loadDestinationType(), compare('==', Buffer.of(RTN_LOCAL, 0, 0, 0))];
  const ipv6 = [loadMeta('nfproto'), compare('==', Buffer.of(NFPROTO_IPV6))];
  const source6 = loadPayload('network', 8, 16);
  const destination6 = loadPayload('network', 24, 16);
  const loopback6 = compare('==', Buffer.from('00000000000000000000000000000001', 'hex'));
  const byBridge = [loadMeta('iifname'), lookup('bridges', 'in')];
  const toBridge = [loadMeta('oifname'), lookup('bridges', 'in')];
  const notToBridge = [loadMeta('oifname'), lookup('bridges', 'not in')];
  const known = [loadConntrack('state'), mask(Buffer.of(6, 0, 0, 0)), compare('!=', zero)];
  const redirected = [loadConntrack('status'), mask(Buffer.of(0x20, 0, 0, 0)), compare('!=', zero)];
  const redirections: RuleText[] = [
    {
      why: 'ports published on one address',
      text: 'dnat ip to ip daddr . meta l4proto . th dport map @published',
      expressions: [
        ...[...ipv4, destination, loadMeta('l4proto', 9), loadPayload('transport', 2, 2, 10)],
        ...[lookup('published', 'map'), destinationNat(NFPROTO_IPV4)],
      ],
    },
    {
      why: 'ports published on every address of this machine',
      text: 'fib daddr type local dnat ip to meta l4proto . th dport map @published_any',
      expressions: [
        ...[...local, loadMeta('l4proto'), loadPayload('transport', 2, 2, 9)],
        ...[lookup('published_any', 'map'), destinationNat(NFPROTO_IPV4)],
      ],
    },
    {
      why: 'and of IPv6',
      text: 'dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6',
      expressions: [
        ...[...ipv6, destination6, loadMeta('l4proto', 12), loadPayload('transport', 2, 2, 13)],
        ...[lookup('published6', 'map'), destinationNat(NFPROTO_IPV6)],
      ],
    },
    {
      why: 'on every address of IPv6',
      text: 'fib daddr type local dnat ip6 to meta l4proto . th dport map @published6_any',
      expressions: [
        ...[...local, loadMeta('l4proto'), loadPayload('transport', 2, 2, 9)],
        ...[lookup('published6_any', 'map'), destinationNat(NFPROTO_IPV6)],
      ],
    },
  ];
  return [
    {
      // Before connection tracking gives replies their own addresses back.
      ...{ name: 'guard', type: 'filter', hook: 'prerouting', priority: -300, priorityText: 'raw' },
      rules: [
        {
          // The sysctl route_localnet, which 127.0.0.1:port needs, would let it in.
          why: 'no container reaches a loopback address of the host',
          text: 'iifname @bridges ip daddr 127.0.0.0/8 drop',
          expressions: [...byBridge, ...toLoopback, verdict('drop')],
        },
        {
          why: 'and none pretends to have one',
          text: 'iifname @bridges ip saddr 127.0.0.0/8 drop',
          expressions: [...byBridge, ...fromLoopback, verdict('drop')],
        },
      ],
    },
    {
      ...{ name: 'prerouting', type: 'nat', hook: 'prerouting', priority: -100, priorityText: 'dstnat' },
      rules: [
        {
          // Else a frame to 127.0.0.1 from a neighbour is redirected before the kernel sees that it is a martian.
          why: 'a port of 127.0.0.1 is published to this machine alone',
          text: 'ip daddr 127.0.0.0/8 return',
          expressions: [...toLoopback, verdict('return')],
        },
        ...redirections,
      ],
    },
    {
      ...{ name: 'output', type: 'nat', hook: 'output', priority: -100, priorityText: '-100' },
      rules: [
        {
          // The kernel takes answers for ::1 by the loopback interface alone; refused at once, programs try 127.0.0.1.
          why: 'there is no way back to ::1',
          text: 'ip6 daddr ::1 return',
          expressions: [...ipv6, destination6, loopback6, verdict('return')],
        },
        ...redirections,
      ],
    },
    {
      ...{ name: 'forward', type: 'filter', hook: 'forward', priority: 0, priorityText: 'filter' },
      rules: [
        {
          why: 'neighbours on one bridge',
          text: 'iifname . oifname @links accept',
          expressions: [loadMeta('iifname'), loadMeta('oifname', 2), lookup('links', 'in'), verdict('accept')],
        },
        {
          why: 'nobody leaves an internal network',
          text: 'iifname @internal drop',
          expressions: [loadMeta('iifname'), lookup('internal', 'in'), verdict('drop')],
        },
        {
          why: 'and nobody enters it',
          text: 'oifname @internal drop',
          expressions: [loadMeta('oifname'), lookup('internal', 'in'), verdict('drop')],
        },
        {
          why: 'what goes elsewhere is not our business',
          text: 'oifname != @bridges return',
          expressions: [...notToBridge, verdict('return')],
        },
        {
          why: 'answers',
          text: 'ct state established,related accept',
          expressions: [...known, verdict('accept')],
        },
        {
          why: 'published ports',
          text: 'ct status dnat accept',
          expressions: [...redirected, verdict('accept')],
        },
        {
          why: 'nobody else reaches a container',
          text: 'drop',
          expressions: [verdict('drop')],
        },
      ],
    },
    {
      ...{ name: 'postrouting', type: 'nat', hook: 'postrouting', priority: 100, priorityText: 'srcnat' },
      rules: [
        {
          why: 'containers leave under an address of this machine',
          text: 'ip saddr @masqueraded oifname != @bridges masquerade',
          expressions: [...ipv4, source, lookup('masqueraded', 'in'), ...notToBridge, masquerade()],
        },
        {
          why: 'also with IPv6',
          text: 'ip6 saddr @masqueraded6 oifname != @bridges masquerade',
          expressions: [...ipv6, source6, lookup('masqueraded6', 'in'), ...notToBridge, masquerade()],
        },
        {
          why: '127.0.0.1 means something else to a container',
          text: 'oifname @bridges ip saddr 127.0.0.0/8 masquerade',
          expressions: [...toBridge, ...fromLoopback, masquerade()],
        },
        {
          // The containers would see each other's addresses and answer directly, past the redirection.
          why: 'a container at a published port: answers must come back here',
          text: 'oifname @bridges ip saddr @subnets ct status dnat masquerade',
          expressions: [...toBridge, ...ipv4, source, lookup('subnets', 'in'), ...redirected, masquerade()],
        },
        {
          why: 'the same with IPv6',
          text: 'oifname @bridges ip6 saddr @subnets6 ct status dnat masquerade',
          expressions: [...toBridge, ...ipv6, source6, lookup('subnets6', 'in'), ...redirected, masquerade()],
        },
      ],
    },
  ];
}

/** What creates the table with its sets, chains and rules: for one transaction. */
export function createRuleset(version = rulesetVersion): NetlinkRequest[] {
  const all = chains();
  return [
    newTable(table, commentOf(version)),
    ...setNames.map((name, i) => newSet(table, sets[name], i + 1)),
    ...all.map((chain) => newChain(table, chain)),
    ...all.flatMap(({ name, rules }) => rules.map(({ expressions, why }) => newRule(table, name, expressions, why))),
  ];
}

/** The rules as nft(8) prints them, by chain and by why they are there: so a rule of the kernel's is found again. */
export function ruleTexts(): { chain: string; why: string; text: string }[] {
  return chains().flatMap(({ name, rules }) => rules.map(({ why, text }) => ({ chain: name, why, text })));
}

/** The same as a script for `nft -f`, without elements. */
export function rulesetText(): string {
  const lines = [`table inet ${table.name} {`, `\tcomment "${commentOf(rulesetVersion)}"`];
  for (const name of setNames) {
    const set: SetDefinition = sets[name];
    const data = set.data === undefined ? '' : ` : ${set.data.join(' . ')}`;
    lines.push(`\t${set.data === undefined ? 'set' : 'map'} ${name} {`, `\t\ttype ${set.key.join(' . ')}${data}`);
    if (set.interval === true) lines.push('\t\tflags interval');
    lines.push('\t}', '');
  }
  for (const { name, type, hook, priorityText, rules } of chains()) {
    lines.push(`\tchain ${name} {`, `\t\ttype ${type} hook ${hook} priority ${priorityText}; policy accept;`);
    for (const { text, why } of rules) lines.push(`\t\t${text} comment "${why}"`);
    lines.push('\t}', '');
  }
  lines.pop();
  return [...lines, '}', ''].join('\n');
}
