/**
 * A container in a user namespace (man 7 user_namespaces): its layers and volumes are idmapped (man 2 mount_setattr), so that
 * on the disk all stays as it is, and its first process sets everything up as root of the machine, acting on files as root
 * of the container. It enters the namespace as one of the last things: from there no way leads back.
 */
import { TsrunError } from '../../error.ts';
import { capabilitySet, encodeCapset } from '../../linux/capabilities.ts';
import {
  AT_FDCWD,
  CLONE_NEWNS,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  MOUNT_ATTR_IDMAP,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../linux/constants.ts';
import type { Load } from '../../program/program.ts';
import type { IdMapping, NamespaceType } from '../spec.ts';
import { type Context, setAttributes, type UserNamespace } from './context.ts';

/** What an id of the container is on the machine; undefined: no map has it. */
export function mappedId(mappings: readonly IdMapping[], id: number): number | undefined {
  const found = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return found === undefined ? undefined : found.hostID + id - found.containerID;
}

/** As `mappedId`. Throws `USAGE` for an id that no map has. */
export function hostId(mappings: readonly IdMapping[], id: number): number {
  const found = mappedId(mappings, id);
  if (found !== undefined) return found;
  throw new TsrunError('USAGE', `id ${id} is not in the user namespace of the container`, {
    hint: 'it has ids up to 65535; --userns=auto:size=N gives another number',
  });
}

/** `id` of the container as this process has to name it. */
export function outsideUid(c: Pick<Context, 'options'>, id: number): number {
  const { userns } = c.options;
  return userns === undefined ? id : hostId(userns.uids, id);
}

/** As `outsideUid`, of a group. */
export function outsideGid(c: Pick<Context, 'options'>, id: number): number {
  const { userns } = c.options;
  return userns === undefined ? id : hostId(userns.gids, id);
}

/** Parameters of a filesystem that name owners name those of the machine: it is mounted from there. */
export function outsideParameter(c: Pick<Context, 'options'>, word: string): string {
  const [, name = '', id = ''] = /^(uid|gid)=(\d+)$/.exec(word) ?? [];
  if (name === '') return word;
  return `${name}=${name === 'uid' ? outsideUid(c, Number(id)) : outsideGid(c, Number(id))}`;
}

/** A detached mount shows its files as those of the container's users. */
export function mapOwners(c: Context, mount: Load, userns: UserNamespace, what: string): void {
  setAttributes(
    c,
    mount,
    { set: MOUNT_ATTR_IDMAP, userns: userns.fd, recursive: false },
    {
      title: `map owners in ${what}`,
      why: 'the files keep their owners on the disk and have those of the mapping in the container (Linux 5.12)',
      hints: { EINVAL: 'the filesystem of the data root cannot be idmapped on this kernel; use --userns=host' },
    },
  );
}

/** The same for a directory: its idmapped copy is laid over it, where this mount namespace alone sees it. */
export function mapDirectory(c: Context, path: string, userns: UserNamespace): void {
  const { b } = c;
  const tree = b.slot(`mapped ${path}`);
  b.call('open_tree', [AT_FDCWD, b.text(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], {
    title: `copy the mount of ${path}`,
    why: 'a mapping belongs to a mount, and a directory becomes one by a bind mount',
    store: tree,
  });
  mapOwners(c, tree, userns, path);
  b.call('move_mount', [tree, b.text(''), AT_FDCWD, b.text(path), MOVE_MOUNT_F_EMPTY_PATH], {
    title: `lay the mapped copy over ${path}`,
    why: 'in this mount namespace only: overlayfs takes the mapped one from here',
    shell: `mount --bind -o X-mount.idmap="$HOLDER" ${path} ${path}`,
  });
  b.call('close', [tree], { title: 'close the copy' });
}

/** Files are made and looked for as root of the container; all else stays the right of root of the machine. */
export function actAsRootOfContainer(c: Context, userns: UserNamespace): void {
  const { b } = c;
  const [uid, gid] = [hostId(userns.uids, 0), hostId(userns.gids, 0)];
  const why =
    'overlayfs works with the rights of who mounts it, and user 0 of the machine has no number in the mapped layers';
  b.call('setfsgid', [gid], { title: `touch files as group ${gid}`, why, expect: 'any' });
  b.call('setfsuid', [uid], { title: `touch files as user ${uid}`, why, expect: 'any' });
  const all = capabilitySet(userns.available);
  const { header, data } = encodeCapset({ effective: all, permitted: all, inheritable: 0n });
  b.call('capset', [b.bytes(header, 'capability header'), b.bytes(data, 'capability sets')], {
    title: 'keep all capabilities',
    why: 'another user for files takes those away that have to do with files (man 2 setfsuid)',
  });
}

/** All is set up: from here on the process is nobody on the machine, and all that it may do is in the namespace. */
export function enterUserNamespace(c: Context, userns: UserNamespace, own: ReadonlySet<NamespaceType>): void {
  const { b } = c;
  b.enter('namespaces');
  b.call('setns', [userns.fd, CLONE_NEWUSER], {
    title: 'enter the user namespace',
    why: 'root in it is nobody outside; the capabilities that it has count for what belongs to the namespace, and no more',
    shell: 'nsenter --user=/proc/$HOLDER/ns/user --preserve-credentials',
  });
  const uts = own.has('uts');
  b.call('unshare', [CLONE_NEWNS | (uts ? CLONE_NEWUTS : 0)], {
    title: `new namespaces that belong to it: mount${uts ? ', uts' : ''}`,
    why: 'copies: what is hidden in them is locked, and whoever has CAP_SYS_ADMIN in the container may mount in its own',
    shell: `unshare --mount${uts ? ' --uts' : ''}`,
  });
}
