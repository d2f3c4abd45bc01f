/**
 * Names of files as bytes. A path of an archive has no encoding (man 7 path_resolution), so it is carried as a string
 * with one character per byte (latin1): what came in goes out, whether it is UTF-8 or not.
 */
import { TsrunError } from '../../error.ts';

/** A path, or a component of one, with one character (0-255) per byte. */
export type BytePath = string;

/** NAME_MAX and PATH_MAX - 1 of linux/limits.h: longer ones cannot be used by anybody. */
const nameMax = 255;
export const pathMax = 4095;

/** How much of a name a message shows. */
const shownMax = 200;

/** The bytes of ordinary text. */
export function bytePath(text: string): BytePath {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Controls, C1 controls, bidirectional overrides, line separators: what could disguise or break a message. */
const disguising = /[\x00-\x1f\x7f-\x9f"\\\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const notPlain = /[\x00-\x1f\x7f-\xff"\\]/g;

/** A name for a message: quoted, control characters and what is not UTF-8 as `\xNN`, shortened in the middle. */
export function printable(path: BytePath): string {
  const short = path.length > shownMax ? `${path.slice(0, shownMax - 60)}…${path.slice(-60)}` : path;
  const parts = short.split('…').map((part) => {
    const bytes = Buffer.from(part, 'latin1');
    const text = bytes.toString('utf8');
    const faithful = Buffer.from(text, 'utf8').equals(bytes);
    return faithful ? text.replace(disguising, hexEscape) : part.replace(notPlain, hexEscape);
  });
  return `"${parts.join('…')}"${path.length > shownMax ? ` (${path.length} bytes)` : ''}`;
}

function hexEscape(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** The error for an entry that cannot be accepted; `why` says what is wrong with it. */
export function archiveError(path: BytePath | undefined, why: string, hint?: string): TsrunError {
  const subject = path === undefined ? 'the layer' : `entry ${printable(path)}`;
  return new TsrunError('ARCHIVE', `${subject} ${why}`, {
    hint: hint ?? 'the image is damaged or hostile; nothing of this layer was kept',
  });
}

/** Throws `ARCHIVE` for a component that cannot be a name in a directory: `..`, too long, with a NUL in it. */
export function checkComponent(component: BytePath, whole: BytePath): void {
  if (component === '..') throw archiveError(whole, 'leaves its directory by ".."');
  if (component.length > nameMax) {
    throw archiveError(whole, `has a name of ${component.length} bytes; a name can have ${nameMax}`);
  }
  if (component.includes('\0')) throw archiveError(whole, 'has a NUL byte in its name');
}

/**
 * The components of an archive's path, relative to the layer: leading slashes, `.` and empty components fall away
 * (`/etc//./passwd` is `etc/passwd`, as docker reads it); `''` and `./` are the layer itself: no components.
 * Throws `ARCHIVE` for `..`, for NUL bytes and for what is longer than the kernel takes.
 */
export function splitPath(path: BytePath): BytePath[] {
  if (path.length > pathMax) throw archiveError(path, `has a name that is too long; a path can have ${pathMax} bytes`);
  const components = path.split('/').filter((component) => component !== '' && component !== '.');
  for (const component of components) checkComponent(component, path);
  return components;
}

/** A target of a symbolic link is kept as it is, if only the kernel takes it. Throws `ARCHIVE`. */
export function checkLinkTarget(target: BytePath, path: BytePath): void {
  if (target === '') throw archiveError(path, 'is a symbolic link to nothing');
  if (target.includes('\0')) throw archiveError(path, 'has a NUL byte in its target');
  if (target.length > pathMax) throw archiveError(path, `is a symbolic link to a path of ${target.length} bytes`);
}

/** `directory/name`, where the layer itself is `''`. */
export function joinPath(directory: BytePath, name: BytePath): BytePath {
  return directory === '' ? name : `${directory}/${name}`;
}
