/**
 * What the network's side of a container does, in words: read by the code that does it, and by the plan that explains it
 * without doing it.
 */
import type { Step } from '../trace.ts';
import type { BridgeNetwork } from './ipam.ts';
import type { PublishedPort } from './ports.ts';
import type { PortRequest } from './publish.ts';
import { rulesetText } from './ruleset.ts';

export function newNamespace(): Step {
  return {
    phase: 'network',
    title: 'create a network namespace',
    why: 'interfaces, addresses, routes and ports of its own; only the loopback interface is there, and set up',
    shell: 'unshare --net sh -c "ip link set lo up; exec $SHELL"',
  };
}

export function takePort({ hostIp, hostPort, protocol }: PortRequest): Step {
  return {
    phase: 'network',
    title: `take the port ${hostIp || '0.0.0.0'}:${hostPort || '*'}/${protocol}`,
    why: 'bound, never listened on: no other process gets it while the container runs',
  };
}

/** `replaces`: an older table, or a foreign one, is there. */
export function makeTable(replaces: boolean): Step {
  return {
    phase: 'network',
    title: `${replaces ? 'replace' : 'create'} the nf_tables table "tsrun"`,
    why: 'its maps redirect published ports; its chains guard containers and lend them an address of this machine',
    shell: `nft -f - <<'END'\n${rulesetText()}END`,
  };
}

export function tableKnows(network: BridgeNetwork): Step {
  return {
    phase: 'network',
    title: `let the nf_tables table "tsrun" know the network ${network.subnet}`,
    shell: networkElements(network)
      .map((element) => `nft add element inet tsrun ${element}`)
      .join(' && '),
  };
}

/** The elements of a network of IPv4, as nft(8) has them: set and content. */
export function networkElements({ bridge, subnet, icc, internal, masquerade }: BridgeNetwork): string[] {
  return [
    `bridges '{ "${bridge}" }'`,
    ...(icc ? [`links '{ "${bridge}" . "${bridge}" }'`] : []),
    ...(internal ? [`internal '{ "${bridge}" }'`] : []),
    `subnets '{ ${subnet} }'`,
    ...(masquerade ? [`masqueraded '{ ${subnet} }'`] : []),
  ];
}

/** Settings of one interface. */
function conf(family: 4 | 6, name: string, values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([key, value]) => `echo ${value} >/proc/sys/net/ipv${family}/conf/${name}/${key}`)
    .join(' && ');
}

export function makeBridge({ bridge }: BridgeNetwork, mac: string, mtu: number): Step {
  return {
    phase: 'network',
    title: `create the bridge ${bridge}`,
    why: 'a switch inside the kernel that the containers are plugged into',
    shell: `ip link add ${bridge} address ${mac} mtu ${mtu} type bridge`,
  };
}

export function noIpv6(name: string): Step {
  return {
    phase: 'network',
    title: `no IPv6 and no router advertisements on ${name}`,
    why: 'any neighbour on the bridge could pose as a router',
    shell: conf(6, name, { accept_ra: 0, disable_ipv6: 1 }),
  };
}

export function guardedIpv6(name: string): Step {
  return {
    phase: 'network',
    title: `IPv6 on ${name}, without router advertisements`,
    why: 'any neighbour on the bridge could pose as a router; addresses are ours to give, so nobody looks for duplicates',
    shell: conf(6, name, { accept_ra: 0, accept_dad: 0, disable_ipv6: 0 }),
  };
}

export function bridgeAddress({ bridge, gateway, prefix, subnet }: BridgeNetwork): Step {
  return {
    phase: 'network',
    title: `give ${bridge} the address ${gateway}/${prefix} and set it up`,
    why: `the host is the router of ${subnet}`,
    shell: `ip address add ${gateway}/${prefix} brd + dev ${bridge} && ip link set ${bridge} up`,
  };
}

export function bridgeAddress6(bridge: string, ipv6: NonNullable<BridgeNetwork['ipv6']>): Step {
  return {
    phase: 'network',
    title: `give ${bridge} the addresses ${ipv6.gateway}/${ipv6.prefix} and fe80::1/64`,
    why: `the host is the router of ${ipv6.subnet}, and asks for neighbours under a link-local address`,
    shell:
      `ip address add ${ipv6.gateway}/${ipv6.prefix} dev ${bridge} nodad && ` +
      `ip address add fe80::1/64 dev ${bridge} nodad`,
  };
}

export function forwarding(): Step {
  return {
    phase: 'network',
    title: 'turn IPv4 forwarding on',
    why: 'without it the kernel drops what goes from one interface to another',
    shell: 'echo 1 >/proc/sys/net/ipv4/ip_forward',
  };
}

export function forwarding6(): Step {
  return {
    phase: 'network',
    title: 'turn IPv6 forwarding on',
    why: 'a network has IPv6; interfaces that take router advertisements are told to go on with it (accept_ra=2)',
    shell:
      'for f in /proc/sys/net/ipv6/conf/*/accept_ra; do sed -i s/^1$/2/ $f; done; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
  };
}

/** One cable: names of both ends, the hardware address of the container's. */
export function plugCable(
  { bridge, icc }: BridgeNetwork,
  { name, peer, mac, mtu }: { name: string; peer: string; mac: string; mtu: number },
): Step {
  return {
    phase: 'network',
    title: `create the veth pair ${name} <-> ${peer} and plug it into ${bridge}`,
    why: 'the cable between the container and the bridge; hairpin lets a container reach its own published ports',
    shell:
      `ip link add ${name} mtu ${mtu} type veth peer name ${peer} address ${mac} mtu ${mtu} netns $PID && ` +
      `ip link set ${name} master ${bridge} up && bridge link set dev ${name} hairpin on` +
      (icc ? '' : ' isolated on'),
  };
}

/** `route`: the way out is by this network. */
export function insideAddress(
  { prefix, gateway }: BridgeNetwork,
  { name, address, address6 }: { name: string; address: string; address6: string | undefined },
  route: boolean,
): Step {
  return {
    phase: 'network',
    title:
      `give ${name} the address ${address}/${prefix}${address6 === undefined ? '' : ` and ${address6}`}` +
      (route ? ` and the default route by ${gateway}` : ''),
    why: 'inside the network namespace of the container',
    shell:
      `nsenter -t $PID -n ip address add ${address}/${prefix} brd + dev ${name} && ` +
      `nsenter -t $PID -n ip link set ${name} up` +
      (route ? ` && nsenter -t $PID -n ip route replace default via ${gateway}` : ''),
  };
}

export function nameFiles(): Step {
  return {
    phase: 'network',
    title: 'write hosts, hostname and resolv.conf of the container',
    why: 'the image cannot know its address and name servers; the files are mounted over those in /etc',
  };
}

export function routeLocalnet(bridge: string): Step {
  return {
    phase: 'network',
    title: `let ${bridge} carry packets from 127.0.0.1`,
    why: 'a published port is reached by 127.0.0.1 too',
    shell: conf(4, bridge, { route_localnet: 1 }),
  };
}

/** As messages have it: `0.0.0.0:8080`, `[::1]:53`. */
export function portAddress({ hostIp, hostPort }: Pick<PublishedPort, 'hostIp' | 'hostPort'>): string {
  return `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${hostPort}`;
}

export function publishing(ports: readonly PublishedPort[], address: string, address6: string | undefined): Step {
  return {
    phase: 'network',
    title: `publish ${ports.map((port) => `${portAddress(port)}/${port.protocol}`).join(', ')} at ${address}`,
    why: 'elements of the maps that the redirecting rules look into',
    shell: ports.map((port) => addElement(port, address, address6)).join(' && '),
  };
}

/** The command that puts one published port into its map. */
function addElement(port: PublishedPort, address: string, address6: string | undefined): string {
  const { hostIp, hostPort, containerPort, protocol } = port;
  const ipv6 = hostIp.includes(':');
  const any = hostIp === '0.0.0.0' || hostIp === '::';
  const map = `published${ipv6 ? '6' : ''}${any ? '_any' : ''}`;
  const key = `${any ? '' : `${hostIp} . `}${protocol} . ${hostPort}`;
  return `nft add element inet tsrun ${map} '{ ${key} : ${ipv6 ? address6 : address} . ${containerPort} }'`;
}

export function withdrawing(address: string): Step {
  return {
    phase: 'teardown',
    title: `withdraw the published ports of ${address}`,
    why: 'only where they still lead to this container: a port may have got another owner',
  };
}

export function deleteCable(name: string): Step {
  return {
    phase: 'teardown',
    title: `delete the veth pair ${name}`,
    why: 'the kernel destroys the network namespace, and the pair with it, only some time after its last use',
    shell: `ip link delete ${name}`,
  };
}
