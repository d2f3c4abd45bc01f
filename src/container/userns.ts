/**
 * `--userns`: in which user namespace a container runs (docker's and podman's flag), and which ids of the machine it gets.
 * `auto` takes a range that nobody else has; on the disk nothing changes, since layers and volumes are idmapped.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { O_CREAT, O_NOFOLLOW, O_RDWR } from '../linux/constants.ts';
import { AT_FDCWD, close, lockByte, openat } from '../linux/fs.ts';
import { kernelAtLeast } from '../linux/release.ts';
import type { IdMapping } from '../runtime/spec.ts';
import { beginUserNamespace, type IdMappings, parseMap } from '../runtime/user-namespace.ts';
import type { RunOptions } from './run-options.ts';

/**
 * Where ranges are taken from unless /etc/subuid says so: ids that no distribution gives to users, and that systemd leaves
 * alone (https://systemd.io/UIDS-GIDS). They end below 2^31, which the kernel wants of net.ipv4.ping_group_range.
 */
const defaultPool = { first: 0x7000_0000, count: 0x0fff_0000 };
/** Ids of one container: all that user databases of distributions hold. */
const rangeSize = 65_536;
/** Whose ranges in /etc/subuid and /etc/subgid are for containers, as podman has it. */
const poolUser = 'containers';

export interface UserNamespaceChoice {
  /** Ids in the container, from 0 on. */
  size: number;
  /** This user and group of the machine have the same number in the container. */
  keep: { uid: number; gid: number } | undefined;
}

/** What `--userns` says; undefined for the machine's own. Throws `USAGE`, `UNSUPPORTED`. */
export function parseUserns(text: string | undefined): UserNamespaceChoice | undefined {
  if (text === undefined || text === '' || text === 'host') return undefined;
  const [kind = '', rest] = text.split(/:(.*)/s);
  if (kind === 'auto') {
    const [, digits] = /^size=(\d{1,6})$/.exec(rest ?? `size=${rangeSize}`) ?? [];
    const size = Number(digits ?? 0);
    if (size >= 1 && size <= rangeSize) return { size, keep: undefined };
    throw new TsrunError('USAGE', `--userns: invalid option "${rest}" of auto`, {
      hint: `there is size=N, from 1 to ${rangeSize}`,
    });
  }
  const kept = /^keep-id(?::(\d+):(\d+))?$/.exec(text);
  if (kept !== null) {
    const { SUDO_UID, SUDO_GID } = process.env;
    const uid = Number(kept[1] ?? (SUDO_UID || '0'));
    const gid = Number(kept[2] ?? (SUDO_GID || '0'));
    if (uid === 0 || gid === 0) {
      throw new TsrunError('USAGE', '--userns=keep-id: root has no user to keep', {
        hint: 'call tsrun by sudo as that user, or name it: --userns=keep-id:UID:GID',
      });
    }
    if (uid < rangeSize && gid < rangeSize) return { size: rangeSize, keep: { uid, gid } };
    throw new TsrunError('USAGE', `--userns=keep-id: a container has ids up to ${rangeSize - 1}`);
  }
  if (kind === 'nomap' || kind === 'private' || kind === 'container' || kind === 'ns') {
    throw new TsrunError('UNSUPPORTED', `--userns=${text} is not supported`, {
      hint: 'there are host, auto and keep-id',
    });
  }
  throw new TsrunError('USAGE', '--userns: invalid USER mode', {
    hint: 'there are host, auto[:size=N] and keep-id[:UID:GID]',
  });
}

/** Throws `USAGE` in docker's words where the two exclude each other, `UNSUPPORTED` for kernels that cannot. */
export function checkUserns({ userns, privileged }: Pick<RunOptions, 'userns' | 'privileged'>): void {
  if (parseUserns(userns) === undefined) return;
  if (privileged) {
    throw new TsrunError(
      'USAGE',
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
      { hint: 'leave --privileged out, and add what is needed with --cap-add and --device' },
    );
  }
  if (!kernelAtLeast(5, 19)) {
    throw new TsrunError('UNSUPPORTED', `--userns=${userns} needs Linux 5.19: overlayfs of idmapped layers`, {
      hint: 'leave it out, or say --userns=host',
    });
  }
}

/** The maps for a range that begins at `base`; kept ids stay, those above move by one. */
export function mappingsAt(bases: { uid: number; gid: number }, { size, keep }: UserNamespaceChoice): IdMappings {
  const maps = (base: number, kept: number | undefined): IdMapping[] => {
    if (kept === undefined) return [{ containerID: 0, hostID: base, size }];
    const above = size - kept - 1;
    return [
      { containerID: 0, hostID: base, size: kept },
      { containerID: kept, hostID: kept, size: 1 },
      ...(above > 0 ? [{ containerID: kept + 1, hostID: base + kept, size: above }] : []),
    ];
  };
  return { uids: maps(bases.uid, keep?.uid), gids: maps(bases.gid, keep?.gid) };
}

/** The bases of the range with a number, from 0 on; undefined behind the last. */
export function rangeAt(index: number, { uids, gids } = allPools()): { uid: number; gid: number } | undefined {
  const uid = baseIn(uids, index);
  const gid = baseIn(gids, index);
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

function allPools(): { uids: Pool[]; gids: Pool[] } {
  return { uids: poolOf('/etc/subuid'), gids: poolOf('/etc/subgid') };
}

interface Pool {
  first: number;
  count: number;
}

function baseIn(pools: readonly Pool[], index: number): number | undefined {
  let left = index;
  for (const { first, count } of pools) {
    const ranges = Math.floor(count / rangeSize);
    if (left < ranges) return first + left * rangeSize;
    left -= ranges;
  }
  return undefined;
}

/** man 5 subuid: `name:first:count`. What does not hold one range, or begins with the machine's own users, is none. */
function poolOf(path: string): Pool[] {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // There is none.
  }
  const pools = text.split('\n').flatMap((line): Pool[] => {
    const match = new RegExp(`^${poolUser}:(\\d{1,10}):(\\d{1,10})$`).exec(line.trim());
    const pool = { first: Number(match?.[1]), count: Number(match?.[2]) };
    return match === null || pool.first < rangeSize || pool.first + pool.count > 2 ** 32 - 1 ? [] : [pool];
  });
  return pools.length > 0 ? pools : [defaultPool];
}

/** A user namespace for a container that is being started. The monitor keeps the descriptors, and with them the range. */
export interface HeldUserNamespace extends IdMappings {
  user: number;
  /** A network namespace that belongs to it; -1 where none was asked for. */
  network: number;
  /** The lock of the range: others see it taken as long as somebody has this open. */
  lock: number;
}

/** A range that is taken, and the namespace that is being made. */
export interface PendingUserNamespace {
  /** Waits for it. Throws as `beginUserNamespace` does. */
  finish(): HeldUserNamespace;
  /** Gives both up; does nothing after `finish`. */
  abandon(): void;
}

/** Takes a range and begins to make the namespace. Throws `CONFLICT` where all ranges are taken, and as `beginUserNamespace`. */
export function takeUserNamespace(
  state: string,
  choice: UserNamespaceChoice,
  withNetwork: boolean,
): PendingUserNamespace {
  const { lock, bases } = takeRange(state);
  let isHeld = true;
  const release = (): void => {
    if (isHeld) close(lock);
    isHeld = false;
  };
  try {
    const mappings = mappingsAt(bases, choice);
    const pending = beginUserNamespace(mappings, withNetwork);
    const finish = (): HeldUserNamespace => {
      const made = pending.finish();
      isHeld = false;
      return { ...mappings, ...made, lock };
    };
    const abandon = (): void => {
      pending.abandon();
      release();
    };
    return { finish, abandon };
  } catch (error) {
    release();
    throw error;
  }
}

/** One file for all: each range is a byte of it, locked by an open file description that ends with its last holder. */
function takeRange(state: string): { lock: number; bases: { uid: number; gid: number } } {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const lock = openat(AT_FDCWD, join(state, 'userns.lock'), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  const pools = allPools();
  for (let index = 0; ; index++) {
    const bases = rangeAt(index, pools);
    if (bases === undefined) {
      close(lock);
      throw new TsrunError('CONFLICT', 'all ranges of ids for user namespaces are taken', {
        hint: `give the user "${poolUser}" more in /etc/subuid and /etc/subgid`,
      });
    }
    if (lockByte(lock, index)) return { lock, bases };
  }
}

/** The maps of the user namespace of a container's process; undefined where it is in the machine's own. */
export function mappingsOf(pid: number, { userns }: Pick<RunOptions, 'userns'>): IdMappings | undefined {
  if (parseUserns(userns) === undefined) return undefined;
  const uids = readMap(pid, 'uid_map');
  const gids = readMap(pid, 'gid_map');
  const isWhole = ({ containerID, hostID, size }: IdMapping): boolean =>
    containerID === 0 && hostID === 0 && size === 2 ** 32 - 1;
  return uids.every(isWhole) && gids.every(isWhole) ? undefined : { uids, gids };
}

/** /proc/PID/uid_map, as seen from the own user namespace: nothing where the process has ended. */
function readMap(pid: number, file: 'uid_map' | 'gid_map'): IdMapping[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return [];
  }
  return parseMap(text);
}
