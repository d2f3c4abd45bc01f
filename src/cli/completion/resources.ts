/** Names of what there is: containers, images, networks, volumes. What cannot be read is not offered. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerStatus } from '../../container/record.ts';
import { ContainerStore } from '../../container/store.ts';
import { familiarName, parseReference } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import { rootDirectory } from '../../linux/paths.ts';
import { lessonsAtHand, titleOf } from '../learn/course.ts';
import type { Candidate } from './candidate.ts';

/** Nobody wants messages while he types. */
function quietly<T>(find: () => T[]): T[] {
  try {
    return find();
  } catch {
    return [];
  }
}

/** Names of containers, or ids where `typed` can only be the beginning of one. */
export function containerNames(typed: string, wanted: (status: ContainerStatus) => boolean): Candidate[] {
  return quietly(() => {
    const found = new ContainerStore().list().filter(({ state }) => wanted(state.status));
    const named = found.map(({ record, state }) => ({
      value: record.name,
      description: `${record.image.reference}, ${state.status}`,
    }));
    if (!/^[0-9a-f]+$/.test(typed) || named.some(({ value }) => value.startsWith(typed))) return named;
    return found.map(({ record }) => ({
      value: record.id.slice(0, Math.max(12, typed.length)),
      description: record.name,
    }));
  });
}

/** Names of images, with their tag and, where it is `latest`, without; ids where `typed` can only be one. */
export function imageNames(typed: string): Candidate[] {
  return quietly(() => {
    const found = new ImageStore().list();
    const named = found.flatMap(({ references }) =>
      references.flatMap((reference) => {
        const name = familiarName(parseReference(reference));
        return name.endsWith(':latest') ? [name.slice(0, -':latest'.length), name] : [name];
      }),
    );
    if (!/^[0-9a-f]+$/.test(typed) || named.some((name) => name.startsWith(typed))) {
      return named.map((value) => ({ value }));
    }
    return found.map(({ id }) => ({ value: id.replace('sha256:', '').slice(0, Math.max(12, typed.length)) }));
  });
}

/** The networks that are always there, and those of users: `networks/<id>.json` names each. */
export function networkNames(): Candidate[] {
  const directory = join(rootDirectory(), 'networks');
  const own = quietly(() => readdirSync(directory))
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => quietly(() => [String(JSON.parse(readFileSync(join(directory, name), 'utf8')).name)]));
  return [...new Set(['bridge', 'host', 'none', ...own])].map((value) => ({ value }));
}

export function volumeNames(): Candidate[] {
  return quietly(() => readdirSync(join(rootDirectory(), 'volumes')))
    .filter((name) => !name.startsWith('.'))
    .map((value) => ({ value }));
}

/** The lessons of the course, where it can be read. */
export function lessonNumbers(): Candidate[] {
  return quietly(lessonsAtHand).map((lesson) => ({
    value: String(lesson.number),
    description: titleOf(lesson, 'en').replace(/^\d+\. /, ''),
  }));
}
