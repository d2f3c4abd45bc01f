/** What tsrun uses of `node:path`: paths of POSIX. */
import { invalidType } from './file-calls.ts';

function check(path: string, argument = 'path'): void {
  if (typeof path !== 'string') throw invalidType(argument, 'of type string', path);
}

/** The names of a path without `.` and, as far as they can be resolved, without `..`; those that lead above stay where `keepAbove`. */
function resolveNames(path: string, keepAbove: boolean): string[] {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.length > 0 && names[names.length - 1] !== '..') names.pop();
    else if (keepAbove) names.push('..');
  }
  return names;
}

/** Whether there may be something to resolve: nearly all paths have nothing. */
function isClean(path: string): boolean {
  return !path.includes('//') && !path.includes('/.') && !path.startsWith('.');
}

export function normalize(path: string): string {
  check(path);
  if (path === '') return '.';
  if (isClean(path)) return path;
  const start = path.startsWith('/') ? '/' : '';
  const names = resolveNames(path, start === '').join('/');
  const text = names === '' && start === '' ? '.' : names;
  return `${start}${text}${path.endsWith('/') && text !== '' ? '/' : ''}`;
}

export function join(...parts: string[]): string {
  let path = '';
  for (const part of parts) {
    check(part);
    if (part !== '') path = path === '' ? part : `${path}/${part}`;
  }
  return normalize(path);
}

export function resolve(...parts: string[]): string {
  let path = '';
  for (let index = parts.length - 1; index >= 0 && !path.startsWith('/'); index--) {
    const part = parts[index] as string;
    check(part, `paths[${index}]`);
    if (part !== '') path = path === '' ? part : `${part}/${path}`;
  }
  if (!path.startsWith('/')) path = path === '' ? process.cwd() : `${process.cwd()}/${path}`;
  return isClean(path) && !path.endsWith('/') ? path : `/${resolveNames(path, false).join('/')}`;
}

export function isAbsolute(path: string): boolean {
  check(path);
  return path.startsWith('/');
}

/** The path without slashes at its end; one that has nothing else is the root. */
function trimmed(path: string): string {
  check(path);
  let end = path.length;
  while (end > 1 && path.charCodeAt(end - 1) === 0x2f) end--;
  return path.slice(0, end);
}

export function dirname(path: string): string {
  const slash = trimmed(path).lastIndexOf('/');
  if (slash === -1) return '.';
  if (slash === 0) return '/';
  // Two slashes at the beginning are whatever the system wants (POSIX); Node keeps them.
  return slash === 1 && path.startsWith('/') ? '//' : path.slice(0, slash);
}

export function basename(path: string, suffix = ''): string {
  check(suffix, 'suffix');
  const whole = trimmed(path);
  const name = whole.slice(whole.lastIndexOf('/') + 1);
  if (suffix === '' || suffix.length > path.length) return name;
  if (suffix === path) return '';
  // Without a name Node answers the path itself, slashes and all.
  if (name === '') return path;
  return name !== suffix && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

export function extname(path: string): string {
  const name = basename(path);
  const dot = name.lastIndexOf('.');
  return dot <= 0 || name === '..' ? '' : name.slice(dot);
}

export function relative(from: string, to: string): string {
  check(from, 'from');
  check(to, 'to');
  const start = resolveNames(resolve(from), false);
  const end = resolveNames(resolve(to), false);
  let shared = 0;
  while (shared < start.length && shared < end.length && start[shared] === end[shared]) shared++;
  return [...start.slice(shared).map(() => '..'), ...end.slice(shared)].join('/');
}

export const sep = '/';
export const delimiter = ':';

export const posix = { basename, delimiter, dirname, extname, isAbsolute, join, normalize, relative, resolve, sep };
