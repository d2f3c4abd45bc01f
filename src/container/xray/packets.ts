/** The way of a packet to a published port, and that of one that leaves: each stage with the names that the kernel has for it. */

import type { BridgeAttachment, PublishedPort } from '../../network/index.ts';
import { type LiveRule, liveElement, liveRules } from '../../network/look.ts';
import { portAddress } from '../../network/steps.ts';
import { attachmentsOf } from '../endpoints.ts';
import type { Container } from '../record.ts';
import { type Sentence, say } from '../sentence.ts';
import { listener } from '../why/port.ts';
import { hardwareAddress, type NetworkView, readNetwork, readNetworkOf } from './interfaces.ts';

export type HopKind = 'client' | 'port' | 'rule' | 'bridge' | 'cable' | 'interface' | 'process' | 'route' | 'uplink';

export interface Hop {
  kind: HopKind;
  /** The kernel's name for it: `tsrun0`, `172.30.0.2:80`. */
  name: string;
  details: Sentence[];
}

export interface PacketWay {
  direction: 'in' | 'out';
  /** What is asked for: `0.0.0.0:8080/tcp`, or the network that it leaves by. */
  title: string;
  hops: Hop[];
}

/** All ways of a container that runs; none where it has the host's network, another container's, or none. */
export function packetWays(container: Container): PacketWay[] {
  const { state, record } = container;
  const attachments = attachmentsOf(state);
  if (state.pid === 0 || attachments.length === 0) return [];
  const host = readNetwork();
  const inside = readNetworkOf(state.pid);
  if (inside === undefined) return [];
  const rules = liveRules();
  const look: Look = { container, host, inside, rules };
  const incoming = attachments.flatMap((attachment) =>
    attachment.ports.map((port) => wayIn(look, attachment, port, record.id)),
  );
  const outgoing = attachments
    .filter(({ internal }) => internal !== true)
    .map((attachment) => wayOut(look, attachment));
  return [...incoming, ...outgoing];
}

interface Look {
  container: Container;
  host: NetworkView;
  inside: NetworkView;
  rules: readonly LiveRule[];
}

function wayIn(look: Look, attachment: BridgeAttachment, port: PublishedPort, id: string): PacketWay {
  const { hostIp, containerPort, protocol } = port;
  const ipv6 = hostIp.includes(':');
  const address = ipv6 ? (attachment.address6 ?? '') : attachment.address;
  const title = `${portAddress(port)}/${protocol}`;
  const element = liveElement(port, address, id);
  const inMap = element.isThere ? say('element: {1}', element.text) : say('its element is missing: {1}', element.text);
  return {
    direction: 'in',
    title,
    hops: [
      { kind: 'client', name: portAddress(port), details: [say('any program that connects to it')] },
      {
        kind: 'port',
        name: title,
        details: [
          say(
            'a socket that the monitor ({1}) holds and never listens on',
            look.container.state.start?.monitorPid ?? 0,
          ),
        ],
      },
      {
        kind: 'rule',
        name: `inet tsrun, map ${element.map}`,
        details: [inMap, ...redirections(look.rules, hostIp, element.map)],
      },
      ...bridgeHops(look, attachment),
      {
        kind: 'interface',
        name: `${attachment.interface ?? 'eth0'} ${portAddress({ hostIp: address, hostPort: containerPort })}`,
        details: insideDetails(look, attachment),
      },
      {
        kind: 'process',
        name: `${containerPort}/${protocol}`,
        details: [listener(look.container, containerPort, protocol)],
      },
    ],
  };
}

function wayOut(look: Look, attachment: BridgeAttachment): PacketWay {
  const { gateway, network } = attachment;
  const route = look.inside.routes.find(({ destination, gateway: by }) => destination === 'default' && by === gateway);
  const uplink = look.host.routes.find(({ destination }) => destination === 'default');
  const rule = ruleOf(look.rules, 'postrouting', 'ip saddr @masqueraded ');
  const up = look.host.interfaces.find(({ name }) => name === uplink?.interface);
  return {
    direction: 'out',
    title: network,
    hops: [
      {
        kind: 'interface',
        name: `${attachment.interface ?? 'eth0'} ${attachment.address}`,
        details: insideDetails(look, attachment),
      },
      {
        kind: 'route',
        name: gateway,
        details: [
          route === undefined
            ? say('no default route leads there: only neighbours are reached')
            : say('default route of the container: {1} on {2}', route.gateway ?? '', route.interface),
        ],
      },
      ...bridgeHops(look, attachment).reverse(),
      { kind: 'rule', name: 'inet tsrun, chain postrouting', details: ruleText(rule) },
      {
        kind: 'uplink',
        name: uplink?.interface ?? '-',
        details:
          uplink === undefined
            ? [say('the host has no default route')]
            : [
                say('default route of the host: {1}', uplink.gateway ?? uplink.interface),
                ...(up === undefined ? [] : [say('addresses: {1}', up.addresses.join(', ') || '-')]),
              ],
      },
    ],
  };
}

/** From the host's side inwards: the bridge, and the host's end of the cable. */
function bridgeHops({ host }: Look, { bridge, hostInterface }: BridgeAttachment): Hop[] {
  const find = (name: string) => host.interfaces.find((one) => one.name === name);
  const [bridgeLink, cable] = [find(bridge), find(hostInterface)];
  return [
    {
      kind: 'bridge',
      name: bridge,
      details:
        bridgeLink === undefined
          ? [say('the interface is missing')]
          : [
              say('interface {1}, MTU {2}', bridgeLink.index, bridgeLink.mtu),
              say('addresses: {1}', bridgeLink.addresses.join(', ') || '-'),
              say('hardware address {1}', hardwareAddress(bridge)),
            ],
    },
    {
      kind: 'cable',
      name: hostInterface,
      details:
        cable === undefined
          ? [say('the interface is missing')]
          : [
              say('interface {1}, MTU {2}', cable.index, cable.mtu),
              cable.bridge === '' ? say('plugged into nothing') : say('a port of the bridge {1}', cable.bridge),
              say('hardware address {1}', hardwareAddress(hostInterface)),
            ],
    },
  ];
}

function insideDetails({ inside }: Look, attachment: BridgeAttachment): Sentence[] {
  const own = inside.interfaces.find(({ name }) => name === (attachment.interface ?? 'eth0'));
  if (own === undefined) return [say('the interface is missing')];
  return [
    say('interface {1}, MTU {2}', own.index, own.mtu),
    say('addresses: {1}', own.addresses.join(', ') || '-'),
    say('hardware address {1}', attachment.mac),
  ];
}

/** A packet of this machine meets the chain output; one from elsewhere prerouting, and is forwarded then. */
function redirections(rules: readonly LiveRule[], hostIp: string, map: string): Sentence[] {
  const text = (chain: string, part: string): Sentence[] => ruleText(ruleOf(rules, chain, part));
  const isLoopback = hostIp.startsWith('127.') || hostIp === '::1';
  return [
    say('from this machine:'),
    ...text('output', `map @${map}`),
    ...(hostIp.includes(':') ? [] : text('postrouting', 'ip saddr 127.0.0.0/8 masquerade')),
    ...(isLoopback
      ? []
      : [say('from elsewhere:'), ...text('prerouting', `map @${map}`), ...text('forward', 'ct status dnat accept')]),
  ];
}

function ruleOf(rules: readonly LiveRule[], chain: string, text: string): LiveRule | undefined {
  return rules.find((rule) => rule.chain === chain && `${rule.text} `.includes(`${text.trim()} `));
}

function ruleText(rule: LiveRule | undefined): Sentence[] {
  if (rule === undefined) return [say('its rule is missing')];
  return [say('chain {1}, handle {2}: {3}', rule.chain, rule.handle, rule.text)];
}
