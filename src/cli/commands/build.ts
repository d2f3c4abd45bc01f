/** `tsrun build`: an image from a Dockerfile. */
import { writeFileSync } from 'node:fs';
import { type BuildOptions, build } from '../../build/build.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { parsePlatform } from '../../image/platform.ts';
import type { Reference } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import { buildProgress } from '../build-progress.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { parseSecret } from '../options/secret.ts';
import { print } from '../output.ts';
import { programVersion } from '../program-version.ts';
import { parseTarget } from './target-reference.ts';

export const buildImage: Command = {
  usage: '[OPTIONS] PATH|ARCHIVE|-',
  description: 'Build an image from a Dockerfile and a context: a directory, an archive, or - for stdin',
  flags: [
    {
      name: 'allow',
      type: 'list',
      description: 'Let the Dockerfile ask for it: network.host, for RUN --network=host',
      check: (text) => {
        if (text !== 'network.host') throw new Error(`invalid entitlement ${text}: there is network.host`);
      },
    },
    { name: 'build-arg', type: 'list', description: 'Set an ARG of the Dockerfile, NAME=VALUE or NAME' },
    {
      name: 'file',
      short: 'f',
      type: 'string',
      description: 'Name of the Dockerfile',
      shownDefault: '"PATH/Dockerfile"',
    },
    { name: 'iidfile', type: 'string', description: 'Write the image ID to a file' },
    { name: 'label', type: 'list', description: 'Set a label of the image, NAME=VALUE' },
    { name: 'network', type: 'string', description: 'Network of the RUN instructions', shownDefault: '"default"' },
    { name: 'no-cache', type: 'bool', description: 'Use nothing that was built before' },
    { name: 'platform', type: 'string', description: 'Platform of the image, such as linux/arm64' },
    {
      name: 'progress',
      type: 'string',
      description: 'How the build is shown: auto, plain, tty, quiet',
      shownDefault: '"auto"',
      check: (text) => {
        if (!['auto', 'plain', 'tty', 'quiet'].includes(text)) throw new Error(`invalid progress mode ${text}`);
      },
    },
    { name: 'pull', type: 'bool', description: 'Pull the base images although they are there' },
    { name: 'quiet', short: 'q', type: 'bool', description: 'Print nothing but the image ID' },
    { name: 'secret', type: 'list', description: 'A secret for RUN --mount=type=secret: id=ID[,src=FILE|env=NAME]' },
    { name: 'ssh', type: 'list', description: 'Not supported', hidden: true },
    { name: 'tag', short: 't', type: 'list', description: 'Name of the image, NAME[:TAG]' },
    { name: 'target', type: 'string', description: 'Build this stage and what it needs' },
    // What docker's scripts say and what is so in any case.
    { name: 'rm', type: 'bool', description: 'Nothing: containers of a build are always removed', hidden: true },
    { name: 'force-rm', type: 'bool', description: 'Nothing: containers of a build are always removed', hidden: true },
    { name: 'load', type: 'bool', description: 'Nothing: the image is always stored here', hidden: true },
  ],
  args: { min: 1, max: 1 },
  failure: 1,
  async run({ flags, args: [context = ''] }) {
    if (flags.has('ssh')) {
      throw new TsrunError('UNSUPPORTED', 'tsrun build has no --ssh', {
        hint: 'hand a key over as a secret: --secret id=key,src=FILE and RUN --mount=type=secret,id=key',
      });
    }
    if (process.geteuid?.() !== 0) {
      throw new TsrunError('PERMISSION', 'tsrun needs root to build images', { hint: 'run it with sudo' });
    }
    const quiet = flags.boolean('quiet');
    const progress = buildProgress(quiet ? 'quiet' : (flags.string('progress') ?? 'auto'));
    const platform = flags.string('platform');
    const options: BuildOptions = {
      context,
      file: flags.string('file'),
      tags: flags.strings('tag').map(tagOf),
      args: new Map(flags.strings('build-arg').flatMap(argumentOf)),
      labels: Object.fromEntries(flags.strings('label').map(labelOf)),
      target: flags.string('target') ?? '',
      noCache: flags.boolean('no-cache'),
      pull: flags.boolean('pull'),
      platform: platform === undefined ? undefined : parsePlatform(platform),
      network: flags.string('network') ?? 'default',
      allowsHostNetwork: flags.has('allow'),
      secrets: new Map(flags.strings('secret').map(parseSecret)),
      epoch: process.env.SOURCE_DATE_EPOCH,
      version: programVersion,
      progress,
      pulling: progress.pulling,
      signal: beginInterruption(),
    };
    const containers = new ContainerStore();
    let success = false;
    try {
      const image = await build({ containers, images: new ImageStore(containers.root) }, options);
      success = true;
      const path = flags.string('iidfile');
      if (path !== undefined) writeFileSync(path, image.id);
      if (quiet) print(`${image.id}\n`);
      return 0;
    } finally {
      progress.finish(success);
    }
  },
};

function tagOf(text: string): Reference {
  const reference = parseTarget(text);
  if (reference === undefined) throw new TsrunError('USAGE', 'the name of -t is empty');
  return reference;
}

/** A name alone has the value that it has here; without one it is not given. */
function argumentOf(text: string): [string, string][] {
  const [name = '', value = process.env[name]] = text.split(/=(.*)/s);
  if (name === '') throw new TsrunError('USAGE', `invalid build argument: ${text}`, { hint: 'write NAME=VALUE' });
  return value === undefined ? [] : [[name, value]];
}

function labelOf(text: string): [string, string] {
  const [name = '', value = ''] = text.split(/=(.*)/s);
  if (name === '') throw new TsrunError('USAGE', `invalid label '${text}': empty name`);
  return [name, value];
}
