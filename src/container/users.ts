/** `-u` and the image's USER: names and numbers by the image's /etc/passwd and /etc/group (man 5 passwd, group). */
import { TsrunError } from '../error.ts';

/** Where passwd and group are read from; undefined for what is no regular file. */
export interface AccountFiles {
  readText(path: string): string | undefined;
}

export interface ResolvedUser {
  uid: number;
  gid: number;
  additionalGids: number[];
  home: string;
}

interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

const maxId = 2 ** 32 - 2;

function parseId(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > maxId) throw new TsrunError('USAGE', `uids and gids must be in range 0-${maxId}`);
  return id;
}

function lines(text: string | undefined): string[][] {
  return (text ?? '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function passwd(text: string | undefined): PasswdEntry[] {
  return lines(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) =>
    /^\d+$/.test(uid) && /^\d+$/.test(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [],
  );
}

function groups(text: string | undefined): GroupEntry[] {
  return lines(text).flatMap(([name = '', , gid = '', members = '']) =>
    /^\d+$/.test(gid)
      ? [{ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }]
      : [],
  );
}

/**
 * Resolves `user[:group]`, each a name or a number; empty is root. A user that is in passwd brings its group, home and
 * the groups that list it, unless a group was named. `groupAdd` are further names or numbers.
 * Throws `USAGE` for names that the image does not know, with docker's words.
 */
export function resolveUser(root: AccountFiles, user: string, groupAdd: readonly string[]): ResolvedUser {
  const [userPart = '', groupPart] = splitUser(user);
  const users = passwd(root.readText('/etc/passwd'));
  const known = groups(root.readText('/etc/group'));
  const number = parseId(userPart === '' ? '0' : userPart);
  const entry =
    users.find((candidate) => candidate.name === userPart) ?? users.find((candidate) => candidate.uid === number);
  const uid = entry?.uid ?? number;
  if (uid === undefined) {
    throw new TsrunError('USAGE', `unable to find user ${userPart}: no matching entries in passwd file`, {
      hint: 'name a user of the image, or a number',
    });
  }
  let gid = entry?.gid ?? 0;
  const additional = new Set<number>();
  if (groupPart === undefined || groupPart === '') {
    for (const group of known) if (entry !== undefined && group.members.includes(entry.name)) additional.add(group.gid);
  } else {
    gid = groupId(known, groupPart);
  }
  for (const group of groupAdd) additional.add(groupId(known, group));
  // -1 would be "as it is" to setresuid, and the kernel has no larger ones (man 5 passwd).
  if (Math.max(uid, gid, ...additional) > maxId) {
    throw new TsrunError('USAGE', `uids and gids must be in range 0-${maxId}`, {
      hint: `the passwd or group file says otherwise of "${user}"`,
    });
  }
  // The primary group is among them, so that a program that gives it up does not gain what is denied to that group
  // (CVE-2022-36109).
  return { uid, gid, additionalGids: [...new Set([gid, ...additional])], home: entry?.home || '/' };
}

function splitUser(user: string): [string, string | undefined] {
  const at = user.indexOf(':');
  return at < 0 ? [user, undefined] : [user.slice(0, at), user.slice(at + 1)];
}

function groupId(known: readonly GroupEntry[], text: string): number {
  const id = known.find((group) => group.name === text)?.gid ?? parseId(text);
  if (id === undefined) {
    throw new TsrunError('USAGE', `unable to find group ${text}: no matching entries in group file`, {
      hint: 'name a group of the image, or a number',
    });
  }
  return id;
}
