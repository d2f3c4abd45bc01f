import { describe, expect, test } from 'vitest';
import { ipv6Text, parseIpv6 } from '../../../src/linux/ip-address.ts';
import { addressAt, cidrHas, cidrOf, cidrsOverlap, endOf, parseCidr } from '../../../src/network/cidr.ts';
import { address6For, networkOf } from '../../../src/network/ipam.ts';

describe('an IPv6 address', () => {
  test.each([
    ['::', '::'],
    ['::1', '::1'],
    ['FD00:0:0:0:1:0:0:1', 'fd00::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['fe80::1:2', 'fe80::1:2'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['1::', '1::'],
  ])('%s is written %s', (text, written) => {
    const bytes = parseIpv6(text);
    expect(bytes && ipv6Text(bytes)).toBe(written);
  });

  test.each(['', ':', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '::1::', '12345::', 'g::', '1.2.3.4', '::1.2.3'])(
    '%j is none',
    (text) => {
      expect(parseIpv6(text)).toBeUndefined();
    },
  );
});

describe('a subnet', () => {
  test.each([
    ['10.98.0.3/24', '10.98.0.0/24'],
    ['172.16.200.1/12', '172.16.0.0/12'],
    ['fd00:1:2:3:4::9/60', 'fd00:1:2::/60'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.1.2.3/32', '10.1.2.3/32'],
  ])('%s is %s', (text, normal) => {
    expect(parseCidr(text)?.text).toBe(normal);
  });

  test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0/8', 'fd00::/129', '10.0.0.0/8/8', '10.0.0.0/x', '10.0.0.0/'])(
    '%s is none',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  test('overlaps another where one holds the other', () => {
    const overlap = (a: string, b: string) => cidrsOverlap(cidrOf(a), cidrOf(b));
    expect(overlap('10.0.0.0/8', '10.200.0.0/16')).toBe(true);
    expect(overlap('10.200.0.0/16', '10.0.0.0/8')).toBe(true);
    expect(overlap('10.0.0.0/25', '10.0.0.128/25')).toBe(false);
    expect(overlap('fd00::/48', 'fd00:0:0:7::/64')).toBe(true);
    expect(overlap('::/0', '10.0.0.0/8')).toBe(false);
  });

  test('has addresses from its first to its last', () => {
    expect(cidrHas(cidrOf('10.9.8.0/24'), '10.9.8.255')).toBe(true);
    expect(cidrHas(cidrOf('10.9.8.0/24'), '10.9.9.0')).toBe(false);
    expect(addressAt(cidrOf('10.9.8.0/24'), 255)).toBe('10.9.8.255');
    expect(addressAt(cidrOf('10.9.8.0/24'), 256)).toBeUndefined();
    expect(addressAt(cidrOf('fd00::/64'), 65_538)).toBe('fd00::1:2');
    expect(addressAt(cidrOf('ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124'), 16)).toBeUndefined();
    expect(endOf(cidrOf('10.9.8.0/24'))).toEqual(Buffer.of(10, 9, 9, 0));
    expect(endOf(cidrOf('255.255.255.0/24'))).toBeUndefined();
  });
});

describe('the IPv6 address of a container', () => {
  const network = {
    ...networkOf('n', 'br-0', '10.9.8.0/24'),
    ipv6: { subnet: 'fd00:1::/64', gateway: 'fd00:1::1', prefix: 64 },
  };

  test('ends as far from the beginning of its subnet as the IPv4 one', () => {
    expect(address6For(network, '10.9.8.18', new Set())).toBe('fd00:1::12');
  });

  test('is the next free one where that is taken', () => {
    expect(address6For(network, '10.9.8.2', new Set(['fd00:1::2']))).toBe('fd00:1::3');
    expect(address6For(network, '10.9.8.1', new Set())).toBe('fd00:1::2');
  });

  test('is none on a network without IPv6, and an error where no room is left', () => {
    expect(address6For(networkOf('n', 'br-0', '10.9.8.0/24'), '10.9.8.2', new Set())).toBeUndefined();
    const tiny = { ...network, ipv6: { subnet: 'fd00:1::/127', gateway: 'fd00:1::1', prefix: 127 } };
    expect(() => address6For(tiny, '10.9.8.2', new Set())).toThrow('all addresses of fd00:1::/127 are in use');
  });
});
