/**
 * What the places that mounts go to say, as runc and crun read it: links that lead nowhere yet are followed inside the root,
 * and a tmpfs has the mode of the directory that it hides. What is found here only chooses; whoever mounts opens again
 * without ever leaving the root.
 */
import { fstatSync, lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import { isBind } from '../runtime/compile/mounts.ts';
import type { Mount } from '../runtime/spec.ts';
import { openBelow } from './copy-up.ts';

/** As many links as the kernel follows (man 7 path_resolution). */
const patience = 40;

/** The mounts with their true destinations and modes. Throws `USAGE` where proc or sysfs would lie behind a link. */
export function settleTargets(rootfs: string, mounts: readonly Mount[]): Mount[] {
  return mounts.map((mount, index) => {
    // What an earlier mount hides says nothing.
    const hidden = mounts
      .slice(0, index)
      .some(({ destination }) => mount.destination.startsWith(`${destination.replace(/\/+$/, '')}/`));
    return hidden ? mount : settle(rootfs, mount);
  });
}

function settle(rootfs: string, mount: Mount): Mount {
  const { type, options = [] } = mount;
  if ((type === 'proc' || type === 'sysfs') && isLink(join(rootfs, mount.destination))) {
    throw new TsrunError('USAGE', `${type} at ${mount.destination} must be mounted on ordinary directory`, {
      hint: 'in the root it is a link: masked paths would lie elsewhere than where they are looked for',
    });
  }
  const fd = openBelow(rootfs, mount.destination);
  if (fd < 0) return { ...mount, destination: throughLinks(rootfs, mount.destination) };
  try {
    if (type !== 'tmpfs' || isBind(mount) || options.some((word) => word.startsWith('mode='))) return mount;
    return { ...mount, options: [...options, `mode=${(fstatSync(fd).mode & 0o7777).toString(8)}`] };
  } finally {
    close(fd);
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

/** Where a path leads that does not exist: each link is followed as if `rootfs` were the root. */
function throughLinks(rootfs: string, path: string): string {
  const rest = path.split('/');
  const found: string[] = [];
  let links = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      found.pop();
      continue;
    }
    const place = join(rootfs, ...found, name);
    if (!isLink(place)) {
      found.push(name);
      continue;
    }
    links += 1;
    if (links > patience) throw new TsrunError('USAGE', `mount of ${path}: the root has a loop of links there`);
    const target = readlinkSync(place);
    if (target.startsWith('/')) found.length = 0;
    rest.unshift(...target.split('/'));
  }
  return `/${found.join('/')}`;
}
