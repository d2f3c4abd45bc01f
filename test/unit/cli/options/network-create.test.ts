import { describe, expect, test } from 'vitest';
import { networksOf, parseNetwork } from '../../../../src/cli/options/network.ts';
import { ipamOf } from '../../../../src/cli/options/network-create.ts';

const nothing = { subnets: [], ranges: [], gateways: [], aux: {} };

describe('what belongs to a subnet', () => {
  test('is put to it, of either family', () => {
    expect(
      ipamOf({
        subnets: ['10.1.0.0/16', 'fd00:1::/64'],
        ranges: ['10.1.5.0/24'],
        gateways: ['fd00:1::9', '10.1.0.9'],
        aux: { a: '10.1.0.5' },
      }),
    ).toEqual([
      { Subnet: '10.1.0.0/16', IPRange: '10.1.5.0/24', Gateway: '10.1.0.9', AuxiliaryAddresses: { a: '10.1.0.5' } },
      { Subnet: 'fd00:1::/64', Gateway: 'fd00:1::9' },
    ]);
  });

  test.each([
    [{ gateways: ['10.1.0.1'] }, 'every ip-range or gateway must have a corresponding subnet'],
    [{ subnets: ['10.1.0.0/16'], ranges: ['10.2.0.0/24'] }, 'no matching subnet for range 10.2.0.0/24'],
    [{ subnets: ['10.1.0.0/16'], ranges: ['10.0.0.0/8'] }, 'no matching subnet for range 10.0.0.0/8'],
    [{ subnets: ['10.1.0.0/16'], aux: { a: '10.2.0.1' } }, 'no matching subnet for aux-address 10.2.0.1'],
    [{ subnets: ['10.1.0.0/16', '10.1.1.0/24'] }, 'multiple overlapping subnet configuration is not supported'],
    [{ subnets: ['10.1.0.0/16', '10.2.0.0/16'] }, "bridge driver doesn't support multiple subnets"],
    [{ subnets: ['10.1.0.0'] }, 'Invalid subnet 10.1.0.0 : invalid CIDR address: 10.1.0.0'],
  ])('%j is refused', (flags, message) => {
    expect(() => ipamOf({ ...nothing, ...flags })).toThrow(message);
  });
});

describe('--network', () => {
  const flags = (networks: string[], more = {}) => ({
    networks,
    aliases: [],
    ip: undefined,
    ip6: undefined,
    ...more,
  });

  test('reads docker’s long form', () => {
    expect(parseNetwork('name=n,alias=a,alias=b,ip=10.0.0.2,ip6=FD00::0:2')).toEqual({
      network: 'n',
      aliases: ['a', 'b'],
      ip: '10.0.0.2',
      ip6: 'fd00::2',
    });
    expect(parseNetwork('plain')).toEqual({ network: 'plain', aliases: [] });
    expect(() => parseNetwork('name=n,foo=1')).toThrow('invalid field key foo');
    expect(() => parseNetwork('alias=n')).toThrow('network name/id is not specified');
  });

  test('gives the flags beside it to the first network', () => {
    expect(networksOf(flags(['one', 'two'], { aliases: ['a'], ip: '10.0.0.2' }))).toEqual({
      network: 'one',
      endpoints: [
        { network: 'one', aliases: ['a'], ip: '10.0.0.2' },
        { network: 'two', aliases: [] },
      ],
    });
    expect(networksOf(flags([]))).toEqual({ network: 'default' });
    expect(networksOf(flags(['host']))).toEqual({ network: 'host' });
  });

  test.each([
    [['a', 'host'], {}, 'conflicting options: cannot attach both user-defined and non-user-defined network-modes'],
    [['a', 'a'], {}, 'network "a" is specified multiple times'],
    [['bridge'], { ip: '1.2.3.4' }, 'user specified IP address is supported on user defined networks only'],
    [[], { aliases: ['x'] }, 'network-scoped alias is supported only for containers in user defined networks'],
    [['name=a,ip=1.2.3.4'], { ip: '1.2.3.5' }, 'cannot specify both --ip and per-network IPv4 address'],
  ])('%j with %j is refused', (networks, more, message) => {
    expect(() => networksOf(flags(networks, more))).toThrow(message);
  });
});
