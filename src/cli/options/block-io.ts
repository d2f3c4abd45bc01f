/** Limits of block I/O and rules for devices, in the forms of docker's flags; each parser throws an `Error` with its words. */
import type { DeviceRate, DeviceWeight, RunOptions } from '../../container/run-options.ts';
import { TsrunError } from '../../error.ts';
import type { ParsedFlags } from '../arguments.ts';
import { parseUnsigned } from '../flag.ts';
import { parseBytes } from '../units.ts';

/** `DEVICE:VALUE`. */
function split(text: string): { path: string; value: string } {
  const colon = text.indexOf(':');
  if (colon < 1) throw new Error(`bad format: ${text}`);
  const path = text.slice(0, colon);
  if (!path.startsWith('/dev/')) throw new Error(`bad format for device path: ${text}`);
  return { path, value: text.slice(colon + 1) };
}

/** `/dev/sda:1mb`: bytes in a second. */
export function parseBytesRate(text: string): DeviceRate {
  const { path, value } = split(text);
  try {
    return { path, rate: parseBytes(value) };
  } catch {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. ` +
        'Number must be a positive integer. Unit is optional and can be kb, mb, or gb',
    );
  }
}

/** `/dev/sda:1000`: operations in a second. */
export function parseOperationsRate(text: string): DeviceRate {
  const { path, value } = split(text);
  if (!/^\d+$/.test(value)) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  }
  return { path, rate: Number(value) };
}

function isWeight(weight: number): boolean {
  return weight === 0 || (weight >= 10 && weight <= 1000);
}

/** `/dev/sda:200`: 10 to 1000; 0 is none. */
export function parseDeviceWeight(text: string): DeviceWeight {
  const { path, value } = split(text);
  if (!/^\d+$/.test(value) || !isWeight(Number(value))) throw new Error(`invalid weight for device: ${text}`);
  return { path, weight: Number(value) };
}

/** A number of 16 bits; its range is looked at later, as docker does. */
export function checkWeight(text: string): void {
  if (parseUnsigned(text) > 0xffff) throw new Error(`strconv.ParseUint: parsing "${text}": value out of range`);
}

/** `c 1:11 rwm`, `b *:* r`, `a *:* rwm`. */
export function checkDeviceRule(text: string): void {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) {
    throw new Error(`invalid device cgroup format '${text}'`);
  }
}

type BlockOptions = Pick<
  RunOptions,
  | 'blkioWeight'
  | 'blkioWeightDevices'
  | 'deviceReadBps'
  | 'deviceWriteBps'
  | 'deviceReadIops'
  | 'deviceWriteIops'
  | 'deviceCgroupRules'
>;

/** What the flags say; what is not given is absent. Throws `USAGE` for a weight out of range. */
export function blockIoOf(flags: ParsedFlags): BlockOptions {
  const weight = flags.integer('blkio-weight') ?? 0;
  if (!isWeight(weight)) throw new TsrunError('USAGE', 'Range of blkio weight is from 10 to 1000');
  const list = <T>(name: string, parse: (text: string) => T): T[] | undefined =>
    flags.has(name) ? flags.strings(name).map(parse) : undefined;
  const options = {
    blkioWeight: weight || undefined,
    blkioWeightDevices: list('blkio-weight-device', parseDeviceWeight),
    deviceReadBps: list('device-read-bps', parseBytesRate),
    deviceWriteBps: list('device-write-bps', parseBytesRate),
    deviceReadIops: list('device-read-iops', parseOperationsRate),
    deviceWriteIops: list('device-write-iops', parseOperationsRate),
    deviceCgroupRules: list('device-cgroup-rule', (text) => text),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
