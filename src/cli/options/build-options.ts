/** From the flags of `build` to what is asked for: the checks that docker's client makes before a build begins. */
import type { BuildOptions } from '../../build/build.ts';
import type { BuildOutput } from '../../build/outputs.ts';
import { TsrunError } from '../../error.ts';
import { parsePlatform } from '../../image/platform.ts';
import type { Reference } from '../../image/reference.ts';
import { writeArchive } from '../archive-output.ts';
import type { ParsedFlags } from '../arguments.ts';
import { buildRefusal, refusedBuildFlags } from '../build-flags.ts';
import { parseTarget } from '../commands/target-reference.ts';
import { type OutputRequest, parseOutput } from './build-output.ts';
import { parseAnnotation, parseBuildArgument, parseBuildContext, parseBuildLabel } from './build-values.ts';
import { wantedPlatform } from './platform.ts';
import { resourcesOf } from './run-options.ts';
import { parseSecret } from './secret.ts';

/** What a command line asks for; the rest of `BuildOptions` is the command's own. */
export type AskedBuild = Omit<BuildOptions, 'version' | 'progress' | 'pulling' | 'signal'> & {
  /** Names under which the image is pushed. */
  pushed: Reference[];
  /** What is said about flags that change nothing. */
  notes: string[];
};

/** Throws `USAGE` with docker's words, `UNSUPPORTED` for what tsrun does not do. */
export function askedBuild(flags: ParsedFlags, context: string): AskedBuild {
  for (const name of refusedBuildFlags) {
    for (const value of flags.strings(name)) {
      const reason = buildRefusal(name, value);
      if (reason !== undefined) throw new TsrunError('UNSUPPORTED', `tsrun build has no --${name}`, { hint: reason });
    }
  }
  const platform = wantedPlatform(flags);
  const tags = flags.strings('tag').map(tagOf);
  return {
    context,
    file: flags.string('file'),
    contexts: new Map(flags.strings('build-context').map(parseBuildContext)),
    ...outputsOf(flags, tags),
    args: new Map(flags.strings('build-arg').flatMap(argumentOf)),
    labels: Object.fromEntries(flags.strings('label').map(parseBuildLabel)),
    annotations: Object.fromEntries(flags.strings('annotation').map(parseAnnotation)),
    target: flags.string('target') ?? '',
    noCache: flags.boolean('no-cache'),
    noCacheStages: flags.strings('no-cache-filter').flatMap((text) => text.toLowerCase().split(',')),
    pull: flags.boolean('pull'),
    platform: platform === undefined ? undefined : parsePlatform(platform),
    network: flags.string('network') ?? 'default',
    limits: resourcesOf(flags),
    allowsHostNetwork: flags.has('allow'),
    secrets: new Map(flags.strings('secret').map(parseSecret)),
    epoch: process.env.SOURCE_DATE_EPOCH,
    notes: notesOf(flags),
  };
}

function outputsOf(flags: ParsedFlags, tags: readonly Reference[]): { outputs: BuildOutput[]; pushed: Reference[] } {
  const requests = flags.strings('output').map(parseOutput);
  const wantsPush = flags.boolean('push');
  // --push is an output too; without any the image goes into the store.
  if (requests.length === 0 || (wantsPush && !requests.some(({ kind }) => kind === 'image'))) {
    requests.push({ kind: 'image', names: [], push: wantsPush });
  }
  if (
    requests.filter((request) => request.kind !== 'image' && request.kind !== 'directory' && request.path === '')
      .length > 1
  ) {
    throw new TsrunError('USAGE', 'only one output can go to stdout', { hint: 'give the others a dest=PATH' });
  }
  const pushed: Reference[] = [];
  const outputs = requests.map((request): BuildOutput => {
    if (request.kind === 'directory') return request;
    const write = (fill: Parameters<typeof writeArchive>[2]): void =>
      writeArchive(request.kind === 'image' ? undefined : request.path, 'write the output', fill);
    if (request.kind === 'tar') return { kind: 'tar', write };
    const names = request.names.length === 0 ? tags : request.names.map(tagOf);
    if (request.kind === 'archive') return { kind: 'archive', format: request.format, names, write };
    if (request.push || wantsPush) {
      if (names.length === 0)
        throw new TsrunError('USAGE', 'tag is needed when pushing to registry', { hint: 'add -t NAME' });
      pushed.push(...names);
    }
    return { kind: 'image', names };
  });
  return { outputs, pushed };
}

/** Whether one of the outputs is what stdout is for. */
export function writesToStdout(flags: ParsedFlags): boolean {
  return flags.strings('output').map(parseOutput).some(isStdout);
}

function isStdout(request: OutputRequest): boolean {
  return (request.kind === 'tar' || request.kind === 'archive') && request.path === '';
}

function notesOf(flags: ParsedFlags): string[] {
  const notes: string[] = [];
  for (const name of ['cache-from', 'cache-to']) {
    if (flags.has(name))
      notes.push(`--${name} changes nothing: the cache of builds is in the data root, and nowhere else`);
  }
  if (flags.has('rm') && !flags.boolean('rm')) {
    notes.push('--rm=false changes nothing: containers of a build are always removed');
  }
  const builder = flags.string('builder') ?? '';
  if (builder !== '' && builder !== 'default') notes.push('--builder changes nothing: tsrun builds itself');
  const isolation = flags.string('isolation') ?? '';
  if (isolation !== '' && isolation !== 'default') {
    throw new TsrunError('UNSUPPORTED', `invalid isolation: ${isolation}`, {
      hint: 'there is default; others are for Windows',
    });
  }
  return notes;
}

function tagOf(text: string): Reference {
  const reference = parseTarget(text);
  if (reference === undefined) throw new TsrunError('USAGE', 'the name of -t is empty');
  return reference;
}

/** A name alone has the value that it has here; without one it is not given. */
function argumentOf(text: string): [string, string][] {
  const [name, value = process.env[name]] = parseBuildArgument(text);
  return value === undefined ? [] : [[name, value]];
}
