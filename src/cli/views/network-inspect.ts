/** `network inspect`: docker's document (API 1.41, NetworkResource). */
import type { LiveContainer } from '../../container/network-names.ts';
import { endpointId, membersOf } from '../../container/networks.ts';
import type { NetworkRecord } from '../../network/records.ts';
import { GoMap, nilMap, type Struct, stringMap, type Value } from '../format/value.ts';

/** The document of a network, with the containers that are on it now. */
export function networkDocument(record: NetworkRecord, live: readonly LiveContainer[]): Struct {
  return {
    Name: record.name,
    Id: record.id,
    Created: record.created,
    Scope: 'local',
    Driver: record.driver,
    EnableIPv6: record.ipv6 !== undefined,
    IPAM: {
      Driver: 'default',
      Options: record.driver === 'bridge' && record.name !== 'bridge' ? new GoMap([], '') : nilMap,
      Config: record.ipam.map(({ Subnet, IPRange, Gateway, AuxiliaryAddresses }) => ({
        ...(Subnet === undefined ? {} : { Subnet }),
        ...(IPRange === undefined ? {} : { IPRange }),
        ...(Gateway === undefined ? {} : { Gateway }),
        ...(AuxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: stringMap(AuxiliaryAddresses) }),
      })),
    },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: new GoMap(
      membersOf(live, record).map((member): [string, Value] => [member.record.id, memberOf(member, record)]),
      null,
    ),
    Options: stringMap(record.options),
    Labels: stringMap(record.labels),
  };
}

function memberOf({ record, attachments }: LiveContainer, network: NetworkRecord): Struct {
  const attachment = attachments.find(({ bridge }) => bridge === network.bridge);
  const v4 = attachment === undefined ? '' : `${attachment.address}/${attachment.prefix}`;
  const v6 = attachment?.address6 === undefined ? '' : `${attachment.address6}/${attachment.prefix6}`;
  return {
    Name: record.name,
    EndpointID: endpointId(record.id, network.id),
    MacAddress: attachment?.mac ?? '',
    IPv4Address: v4,
    IPv6Address: v6,
  };
}
