/**
 * Whiteouts: how a layer's archive says that something of the layers below is gone (OCI image-spec layer.md,
 * "Whiteouts"; the names are those of AUFS), and how overlayfs wants to see it (kernel, overlayfs.rst, "whiteouts and
 * opaque directories").
 */
import { archiveError, type BytePath } from './byte-path.ts';

const prefix = '.wh.';
const reserved = '.wh..wh.';
const opaqueMarker = '.wh..wh..opq';

/** The attribute that makes a directory hide those of lower layers. */
export const opaqueXattr = 'trusted.overlay.opaque';

export type Marker =
  /** `.wh.NAME`: NAME of lower layers is gone. */
  | { kind: 'whiteout'; name: BytePath }
  /** `.wh..wh..opq`: everything of lower layers in this directory is gone. */
  | { kind: 'opaque' }
  /** Housekeeping of AUFS, which means nothing here. */
  | { kind: 'ignored' };

/** What a path's last component says, if it is a marker. `path` is for the message. Throws `ARCHIVE`. */
export function markerOf(name: BytePath, path: BytePath): Marker | undefined {
  if (!name.startsWith(prefix)) return undefined;
  if (name === opaqueMarker) return { kind: 'opaque' };
  if (name.startsWith(reserved)) return { kind: 'ignored' };
  const hidden = name.slice(prefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw archiveError(path, 'is a whiteout that names no file of its directory');
  }
  return { kind: 'whiteout', name: hidden };
}

/**
 * Whether a path goes through a directory of AUFS's housekeeping. Throws `ARCHIVE` for other reserved names, which no
 * directory can have: its layer could not be told from one that hides it.
 */
export function isBelowIgnored(directories: readonly BytePath[], path: BytePath): boolean {
  for (const name of directories) {
    if (!name.startsWith(prefix)) continue;
    if (name.startsWith(reserved)) return true;
    throw archiveError(path, 'is below a name that is reserved for whiteouts');
  }
  return false;
}

/**
 * Attributes of an archive that must not reach the disk: overlayfs would take them as its own words, and security labels
 * belong to the policy of the machine that made the archive.
 */
export function isForeignXattr(name: BytePath): boolean {
  return (
    name.startsWith('trusted.overlay.') ||
    name.startsWith('user.overlay.') ||
    name === 'security.selinux' ||
    name === 'security.ima' ||
    name === 'security.evm' ||
    name.startsWith('security.SMACK64') ||
    name === 'security.apparmor'
  );
}
