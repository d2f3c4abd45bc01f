/** What the network of containers depends on: forwarding, filters of others, a subnet of its own, name servers. */
import { readFileSync } from 'node:fs';
import {
  type ForeignFirewall,
  hostNameservers,
  type NetworkInfo,
  networkInfo,
  subnetConflict,
} from '../../network/index.ts';
import { type Check, type Finding, unknown } from './finding.ts';

type NetworkFinding = Omit<Finding, 'area'>;

export const networkChecks: Check = {
  area: 'network',
  run() {
    let info: NetworkInfo;
    try {
      info = networkInfo();
    } catch (error) {
      return [unknown('bridge, nf_tables and firewalls', error), resolverFinding(hostNameservers())];
    }
    return [
      bridgeFinding(info),
      forwardingFinding(info),
      reversePathFinding(readSysctl('all'), readSysctl('default')),
      tableFinding(info),
      ...firewallFindings(info),
      subnetFinding(),
      resolverFinding(hostNameservers()),
    ];
  },
};

function readSysctl(name: string): string {
  try {
    return readFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, 'utf8').trim();
  } catch {
    return '';
  }
}

function bridgeFinding({ bridge, present, subnet }: NetworkInfo): NetworkFinding {
  const detail = present ? `${bridge}, ${subnet ?? 'without a subnet'}` : 'made with the first container';
  return { name: 'bridge', verdict: 'ok', detail };
}

function forwardingFinding({ ipForward, present }: NetworkInfo): NetworkFinding {
  if (ipForward) return { name: 'IP forwarding', verdict: 'ok', detail: 'on' };
  if (!present) return { name: 'IP forwarding', verdict: 'ok', detail: 'off; the first container turns it on' };
  return {
    name: 'IP forwarding',
    verdict: 'problem',
    detail: 'off, although the bridge stands: somebody has turned it off again',
    meaning: 'containers reach nothing outside, and nobody reaches their published ports',
    remedy: 'sysctl -w net.ipv4.ip_forward=1',
  };
}

/** Strict filtering drops answers that would leave by another interface than the one that packets came in by. */
function reversePathFinding(all: string, byDefault: string): NetworkFinding {
  const detail = `net.ipv4.conf.all.rp_filter = ${all}, default = ${byDefault}`;
  if (all !== '1') return { name: 'reverse path filter', verdict: 'ok', detail };
  return {
    name: 'reverse path filter',
    verdict: 'warning',
    detail: `${detail} (strict)`,
    meaning: 'with several ways out of this machine published ports may not answer on all of them',
    remedy: 'sysctl -w net.ipv4.conf.all.rp_filter=2',
  };
}

function tableFinding({ ruleset, present }: NetworkInfo): NetworkFinding {
  const name = 'nftables';
  if (ruleset.present === undefined) {
    if (!present) return { name, verdict: 'ok', detail: 'table inet tsrun is made with the first container' };
    return {
      name,
      verdict: 'problem',
      detail: 'table inet tsrun is gone, although the bridge stands: somebody has flushed the rules',
      meaning: 'containers reach nothing outside, and published ports are closed',
      remedy: 'tsrun run --rm busybox true (any start writes the table again)',
    };
  }
  const older = ruleset.present < ruleset.wanted;
  const detail = `table inet tsrun version ${ruleset.present}${older ? `; the next start makes it ${ruleset.wanted}` : ''}`;
  return { name, verdict: 'ok', detail };
}

function firewallFindings({ firewalls, bridge, cooperating }: NetworkInfo): NetworkFinding[] {
  if (firewalls.length === 0) {
    return [
      { name: 'firewalls', verdict: 'ok', detail: cooperating ? 'cooperating with another one' : 'none that drops' },
    ];
  }
  return firewalls.map((firewall) => ({
    name: `firewall of ${firewall.tool}`,
    verdict: 'warning',
    detail: `table ${firewall.table}, chain ${firewall.chain} drops what it does not know (by ${firewall.by})`,
    meaning: 'packets of containers are dropped there, which no rule of another table can change',
    remedy: `tsrun run --firewall=cooperate …, or ${firewallRemedy(firewall, bridge)}`,
  }));
}

/** The command by which each tool lets the bridge through. */
function firewallRemedy({ tool, table, chain }: ForeignFirewall, bridge: string): string {
  if (tool === 'ufw') return `ufw route allow in on ${bridge} && ufw route allow out on ${bridge}`;
  if (tool === 'firewalld') return `firewall-cmd --zone=trusted --add-interface=${bridge}`;
  if (tool === 'nft') return `nft insert rule ${table} ${chain} iifname ${bridge} accept`;
  const into = tool === 'docker' ? 'DOCKER-USER' : 'FORWARD';
  const command = tool === 'iptables-legacy' ? 'iptables-legacy' : 'iptables';
  return `${command} -I ${into} -i ${bridge} -j ACCEPT && ${command} -I ${into} -o ${bridge} -j ACCEPT`;
}

function subnetFinding(): NetworkFinding {
  const found = subnetConflict();
  if (found === undefined) return { name: 'subnet', verdict: 'ok', detail: 'chosen with the first container' };
  if (!found.overlapping) return { name: 'subnet', verdict: 'ok', detail: `${found.subnet} overlaps no route` };
  return {
    name: 'subnet',
    verdict: 'warning',
    detail: `${found.subnet} overlaps a route or holds a name server of this machine`,
    meaning: 'containers cannot reach what is there, or this machine cannot any more',
    remedy: 'stop all containers and remove the bridge, so that another subnet is chosen: ip link delete tsrun0',
  };
}

/** Whether a container learns of a name server that it can reach. */
export function resolverFinding(nameservers: readonly string[]): NetworkFinding {
  const reachable = nameservers.filter((address) => /^[\d.]+$/.test(address) && !address.startsWith('127.'));
  if (reachable.length > 0) return { name: 'name servers', verdict: 'ok', detail: reachable.join(' ') };
  return {
    name: 'name servers',
    verdict: 'warning',
    detail:
      nameservers.length === 0
        ? '/etc/resolv.conf names none'
        : `${nameservers.join(' ')}: not reached from a container`,
    meaning: 'containers ask 8.8.8.8 and 8.8.4.4 instead, which a network without a way out does not reach',
    remedy: 'tsrun run --dns ADDRESS …, or name a server that is not on 127.0.0.0/8 in /etc/resolv.conf',
  };
}
