/** From the flags of `network create` to what the engine is asked for: the checks of docker's client and daemon. */
import { TsrunError } from '../../error.ts';
import { type Cidr, cidrHas, cidrsOverlap, parseCidr } from '../../network/cidr.ts';
import type { NetworkCreation } from '../../network/create.ts';
import { type IpamConfig, networkOptions } from '../../network/records.ts';
import type { ParsedFlags } from '../arguments.ts';
import { parseBoolean } from '../flag.ts';
import { labelsOf } from './environment.ts';

function usage(message: string, hint?: string): TsrunError {
  return new TsrunError('USAGE', message, { hint });
}

/** Checks everything that can be told without looking at the machine. Throws `USAGE`, `UNSUPPORTED`. */
export function networkCreation(flags: ParsedFlags, name: string): NetworkCreation {
  checkName(name);
  checkDriver(flags.string('driver') || 'bridge');
  for (const flag of ['config-only', 'config-from', 'ingress']) {
    if (flags.has(flag)) throw new TsrunError('UNSUPPORTED', `--${flag} is not supported: it belongs to swarms`);
  }
  if (!flags.boolean('ipv4', true)) {
    throw new TsrunError('UNSUPPORTED', '--ipv4=false is not supported: every network has IPv4', {
      hint: 'give it IPv6 as well: --ipv6',
    });
  }
  const scope = flags.string('scope') || 'local';
  if (scope !== 'local') throw new TsrunError('UNSUPPORTED', `--scope ${scope} is not supported: there are no swarms`);
  const ipamDriver = flags.string('ipam-driver') || 'default';
  if (ipamDriver !== 'default') throw usage(`plugin ${JSON.stringify(ipamDriver)} not found`);
  const options = labelsOf([], flags.strings('opt'));
  checkOptions(options);
  return {
    name,
    internal: flags.boolean('internal'),
    attachable: flags.boolean('attachable'),
    ipv6: flags.boolean('ipv6'),
    ipam: ipamOf({
      subnets: listed(flags.strings('subnet')),
      ranges: listed(flags.strings('ip-range')),
      gateways: listed(flags.strings('gateway')),
      aux: labelsOf([], flags.strings('aux-address')),
    }),
    labels: labelsOf([], flags.strings('label')),
    options,
  };
}

/** Docker's `strings`: repeated, and separated by commas. */
function listed(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

function checkName(name: string): void {
  if (/^(bridge|host|none|default|container:.*)$/s.test(name)) {
    throw usage(`operation is not permitted on predefined ${name} network`);
  }
  if (name.trim() === '') throw usage('invalid name: name is empty');
}

function checkDriver(driver: string): void {
  if (driver === 'bridge') return;
  if (driver === 'host' || driver === 'null') {
    throw usage(
      `only one instance of "${driver}" network is allowed`,
      `use it as it is: --network ${driver === 'null' ? 'none' : driver}`,
    );
  }
  if (/^(macvlan|ipvlan|overlay)$/.test(driver)) {
    throw new TsrunError('UNSUPPORTED', `the network driver ${driver} is not supported`, { hint: 'there is bridge' });
  }
  throw usage(`plugin ${JSON.stringify(driver)} not found`, 'there is the driver bridge');
}

function checkOptions(options: Readonly<Record<string, string>>): void {
  for (const option of [networkOptions.icc, networkOptions.masquerade]) {
    const value = options[option];
    if (value === undefined) continue;
    try {
      parseBoolean(value);
    } catch (error) {
      throw usage(`failed to parse ${option} value: ${value} (${(error as Error).message})`);
    }
  }
  const mtu = options[networkOptions.mtu];
  if (mtu !== undefined && !/^[+-]?\d+$/.test(mtu)) {
    throw usage(
      `failed to parse ${networkOptions.mtu} value: ${mtu} (strconv.Atoi: parsing ${JSON.stringify(mtu)}: invalid syntax)`,
    );
  }
  if (mtu !== undefined && Number(mtu) !== 0 && (Number(mtu) < 68 || Number(mtu) > 65_535)) {
    throw usage(`invalid MTU number: ${mtu}`, 'it is a number of bytes, such as 1400');
  }
  const bridge = options[networkOptions.name];
  if (bridge !== undefined && !/^(?!\.\.?$)[a-zA-Z0-9_.-]{1,15}$/.test(bridge)) {
    throw usage(`${JSON.stringify(bridge)} is no name of an interface`, 'at most 15 letters and digits');
  }
}

interface IpamFlags {
  subnets: readonly string[];
  ranges: readonly string[];
  gateways: readonly string[];
  aux: Readonly<Record<string, string>>;
}

/** Brings subnets together with what belongs into each (consolidateIpam of docker's client). */
export function ipamOf({ subnets, ranges, gateways, aux }: IpamFlags): IpamConfig[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw usage('every ip-range or gateway must have a corresponding subnet');
  }
  const all: { cidr: Cidr; config: IpamConfig }[] = [];
  for (const text of subnets) {
    const cidr = parseCidr(text);
    if (cidr === undefined)
      throw usage(`Invalid subnet ${text} : invalid CIDR address: ${text}`, 'write 10.20.30.0/24');
    if (all.some((other) => cidrsOverlap(other.cidr, cidr))) {
      throw usage('multiple overlapping subnet configuration is not supported');
    }
    if (all.some((other) => other.cidr.bytes.length === cidr.bytes.length)) {
      throw usage("bridge driver doesn't support multiple subnets", 'one of IPv4 and one of IPv6');
    }
    const [min, max] = cidr.bytes.length === 4 ? [8, 30] : [16, 126];
    if (cidr.prefix < min || cidr.prefix > max) {
      throw usage(`Invalid subnet ${text} : its prefix must be between /${min} and /${max}`);
    }
    all.push({ cidr, config: { Subnet: text } });
  }
  const of = (has: (cidr: Cidr) => boolean, what: string): IpamConfig => {
    const found = all.find(({ cidr }) => has(cidr));
    if (found === undefined) throw usage(`no matching subnet for ${what}`);
    return found.config;
  };
  for (const text of ranges) {
    const range = parseCidr(text);
    const config = of(
      (cidr) => range !== undefined && range.prefix >= cidr.prefix && cidrsOverlap(cidr, range),
      `range ${text}`,
    );
    if (config.IPRange !== undefined) {
      throw usage(
        `cannot configure multiple ranges (${text}, ${config.IPRange}) on the same subnet (${config.Subnet})`,
      );
    }
    config.IPRange = text;
  }
  for (const text of gateways) {
    const config = of((cidr) => cidrHas(cidr, text), `gateway ${text}`);
    if (config.Gateway !== undefined) {
      throw usage(
        `cannot configure multiple gateways (${text}, ${config.Gateway}) for the same subnet (${config.Subnet})`,
      );
    }
    config.Gateway = text;
  }
  for (const [name, address] of Object.entries(aux)) {
    const config = of((cidr) => cidrHas(cidr, address), `aux-address ${address}`);
    config.AuxiliaryAddresses = { ...config.AuxiliaryAddresses, [name]: address };
  }
  return all.map(({ config }) => config);
}
