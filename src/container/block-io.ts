/** Devices of the host in limits and rules of the runtime-spec: their numbers instead of their paths. */
import { statSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import type { LinuxBlockIo, LinuxDeviceCgroup } from '../runtime/spec.ts';
import type { DeviceRate, RunOptions } from './run-options.ts';

export interface DeviceNumber {
  major: number;
  minor: number;
}

/** glibc's encoding of dev_t, in which Node gives st_rdev (man 3 makedev). */
export function deviceNumber(rdev: number): DeviceNumber {
  const number = BigInt(rdev);
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
    minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  };
}

/** The number of the disk at `path`. Throws `USAGE` where there is none. */
function diskAt(path: string): DeviceNumber {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new TsrunError('USAGE', `stat ${path}: no such file or directory`, { hint: 'lsblk lists the disks' });
  }
  if (!stats.isBlockDevice()) {
    throw new TsrunError('USAGE', `cannot limit input and output of "${path}": it is no disk`, {
      hint: 'lsblk lists the disks',
    });
  }
  return deviceNumber(stats.rdev);
}

/** Limits of input and output; undefined where none is asked for. */
export function blockIo(options: RunOptions): LinuxBlockIo | undefined {
  const rates = (list: DeviceRate[] | undefined): { major: number; minor: number; rate: number }[] | undefined =>
    list?.map(({ path, rate }) => ({ ...diskAt(path), rate }));
  const fields = {
    weight: options.blkioWeight,
    weightDevice: options.blkioWeightDevices?.map(({ path, weight }) => ({ ...diskAt(path), weight })),
    throttleReadBpsDevice: rates(options.deviceReadBps),
    throttleWriteBpsDevice: rates(options.deviceWriteBps),
    throttleReadIOPSDevice: rates(options.deviceReadIops),
    throttleWriteIOPSDevice: rates(options.deviceWriteIops),
  };
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

/** `c 1:11 rwm` as a rule of the specification. */
export function deviceCgroupRule(text: string): LinuxDeviceCgroup {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]+)$/.exec(text);
  if (match === null) throw new TsrunError('USAGE', `invalid device cgroup rule format: '${text}'`);
  const [, type, major = '*', minor = '*', access = ''] = match;
  return {
    allow: true,
    type: type === 'a' ? 'a' : type === 'b' ? 'b' : 'c',
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}
