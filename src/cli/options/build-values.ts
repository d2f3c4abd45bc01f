/** Values of flags of `build` that have a form of their own. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { NamedContext } from '../../build/named-contexts.ts';
import { parseReference } from '../../image/reference.ts';
import { checkLabel } from './environment.ts';

/** `NAME=DIRECTORY` or `NAME=docker-image://IMAGE` of --build-context. Throws an `Error`. */
export function parseBuildContext(text: string): [string, NamedContext] {
  const [name = '', value = ''] = text.split(/=(.*)/s);
  if (name === '' || value === '') throw new Error(`invalid context value: ${text}, expected key=value`);
  const key = name.toLowerCase();
  const image = /^docker-image:\/\/(.+)$/s.exec(value)?.[1];
  if (image !== undefined) {
    parseReference(image);
    return [key, { kind: 'image', image }];
  }
  if (/^([a-z-]+:\/\/|git@|target:)/.test(value)) {
    throw new Error(`${value} is no context here: there are directories and docker-image://IMAGE`);
  }
  if (!statSync(value, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${value} is no directory`);
  return [key, { kind: 'directory', path: resolve(value) }];
}

/** `NAME=VALUE` or `NAME` of --build-arg. Throws an `Error`. */
export function parseBuildArgument(text: string): [name: string, value: string | undefined] {
  const [name = '', value] = text.split(/=(.*)/s);
  if (name === '') throw new Error('write NAME=VALUE, or NAME for the value that it has here');
  return [name, value];
}

/** `NAME=VALUE` of --label; a name alone has an empty value. Throws an `Error` with docker's words. */
export function parseBuildLabel(text: string): [string, string] {
  checkLabel(text);
  const [name = '', value = ''] = text.split(/=(.*)/s);
  return [name, value];
}

/** `[manifest:]NAME=VALUE` of --annotation. Throws an `Error`. */
export function parseAnnotation(text: string): [string, string] {
  const [place = '', rest] =
    /^(manifest|index|manifest-descriptor|index-descriptor)(?:\[[^\]]*\])?:(.*)$/s.exec(text)?.slice(1) ?? [];
  if (place !== '' && place !== 'manifest')
    throw new Error(`an image has no ${place} here: annotations are for its manifest`);
  const [name = '', value] = (rest ?? text).split(/=(.*)/s);
  if (name === '' || value === undefined) throw new Error(`invalid annotation ${text}: write NAME=VALUE`);
  return [name, value];
}
