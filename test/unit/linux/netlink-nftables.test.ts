import { expect, test } from 'vitest';
import type { NetlinkMessage } from '../../../src/linux/netlink-message.ts';
import { newRule, newTable, parseRule, parseTable } from '../../../src/linux/netlink-nftables.ts';
import { compare, loadMeta, verdict } from '../../../src/linux/netlink-nftables-expressions.ts';
import { addElements, deleteElements, newSet, parseElements } from '../../../src/linux/netlink-nftables-sets.ts';

const table = { family: 1, name: 't' };

function asMessage({ type, body }: { type: number; body: Uint8Array }): NetlinkMessage {
  return { type, flags: 0, sequence: 0, body: Buffer.from(body) };
}

test('a table tells its comment', () => {
  expect(parseTable(asMessage(newTable(table, 'hello')))).toEqual({ name: 't', comment: 'hello' });
});

test('elements come back as they were sent', () => {
  const elements = [
    { key: Buffer.from('aabbccdd', 'hex'), data: Buffer.from('01020304', 'hex'), comment: 'mine', flags: undefined },
    { key: Buffer.from('00000001', 'hex'), data: undefined, comment: undefined, flags: 1 },
  ];
  const [request] = addElements(table, 's', elements);
  expect(request && parseElements(asMessage(request))).toEqual(elements);
});

test('more elements than one message holds are spread over several', () => {
  const keys = Array.from({ length: 600 }, (_, i) => Buffer.of(i >> 8, i & 0xff, 0, 0));
  const added = addElements(
    table,
    's',
    keys.map((key) => ({ key })),
  );
  expect(added).toHaveLength(3);
  expect(added.flatMap((request) => parseElements(asMessage(request))).map(({ key }) => key)).toEqual(keys);
  const doomed = keys.map((key) => ({ key }));
  expect(deleteElements(table, 's', doomed)).toHaveLength(3);
  expect(addElements(table, 's', [])).toEqual([]);
});

test('types of a concatenation are packed into six bits each, and its parts to four bytes', () => {
  const { body } = newSet(table, { name: 's', key: ['ipv4_addr', 'inet_proto', 'inet_service'] }, 1);
  const hex = Buffer.from(body).toString('hex');
  // NFTA_SET_KEY_TYPE: 7 << 12 | 12 << 6 | 13; NFTA_SET_KEY_LEN: 12
  expect(hex).toContain('080004000000730d');
  expect(hex).toContain('080005000000000c');
});

test('a rule is a list of named expressions', () => {
  const rule = parseRule(
    asMessage(newRule(table, 'c', [loadMeta('iifname'), compare('==', Buffer.from('x')), verdict('drop')], 'why')),
  );
  expect([rule.table, rule.chain, rule.expressions.map(({ name }) => name)]).toEqual([
    't',
    'c',
    ['meta', 'cmp', 'immediate'],
  ]);
  expect(rule.expressions[0]?.attributes.be32(2)).toBe(6);
});
