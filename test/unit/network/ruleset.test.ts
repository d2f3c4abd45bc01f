import { expect, test } from 'vitest';
import { networkElements, portElement } from '../../../src/network/elements.ts';
import { networkOf } from '../../../src/network/ipam.ts';
import { createRuleset, rulesetText, rulesetVersion, setNames, versionOf } from '../../../src/network/ruleset.ts';

test('the version is told by the comment of the table', () => {
  expect(rulesetText()).toContain(`comment "tsrun ruleset ${rulesetVersion}"`);
  expect(versionOf(`tsrun ruleset ${rulesetVersion}`)).toBe(rulesetVersion);
  for (const foreign of [undefined, '', 'tsrun ruleset', 'tsrun ruleset 1 and more'])
    expect(versionOf(foreign)).toBe(0);
});

test('each rule of the text is a request, and a packet for a loopback address meets the guard first', () => {
  const rules = rulesetText().match(/comment "/g)?.length ?? 0;
  const actions = createRuleset().map(({ action }) => action);
  expect(actions.filter((action) => action.startsWith('add a rule'))).toHaveLength(rules - 1);
  expect(actions.filter((action) => action.startsWith('create nf_tables set'))).toHaveLength(setNames.length);
  expect(rulesetText()).toMatch(
    /type filter hook prerouting priority raw; policy accept;\n\t\tiifname @bridges ip daddr 127\.0\.0\.0\/8 drop/,
  );
});

test('published ports are elements: on one address, and on every one', () => {
  const id = '0123456789abcdef'.repeat(4);
  const one = { hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'tcp' } as const;
  expect(portElement(one, '172.30.0.2', id)).toEqual({
    set: 'published',
    key: Buffer.from('7f000001' + '06000000' + '1f900000', 'hex'),
    data: Buffer.from('ac1e0002' + '00500000', 'hex'),
    comment: '0123456789ab',
  });
  const all = { hostIp: '0.0.0.0', hostPort: 53, containerPort: 5353, protocol: 'udp' } as const;
  expect(portElement(all, '172.30.0.2', id)).toMatchObject({
    set: 'published_any',
    key: Buffer.from('11000000' + '00350000', 'hex'),
    data: Buffer.from('ac1e0002' + '14e90000', 'hex'),
  });
});

test('a network is its bridge, twice, and the range of its subnet', () => {
  const [bridge, link, start, end] = networkElements(networkOf('bridge', 'tsrun0', '172.30.0.0/16'));
  expect(bridge?.key.toString('latin1')).toBe('tsrun0'.padEnd(16, '\0'));
  expect(link?.key.toString('latin1')).toBe('tsrun0'.padEnd(16, '\0').repeat(2));
  expect([start, end]).toMatchObject([
    { set: 'subnets', key: Buffer.of(172, 30, 0, 0) },
    { set: 'subnets', key: Buffer.of(172, 31, 0, 0), flags: 1 },
  ]);
});
