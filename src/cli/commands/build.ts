/** `tsrun build`: an image from a Dockerfile. */
import { statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { build } from '../../build/build.ts';
import type { BuildResult } from '../../build/outputs.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { errorCode } from '../../image/errors.ts';
import { ociManifest } from '../../image/media-types.ts';
import type { PushedImage } from '../../image/push/push.ts';
import { formatReference, type Reference } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import { buildFlags, checkProgress } from '../build-flags.ts';
import { buildProgress } from '../build-progress.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { askedBuild, writesToStdout } from '../options/build-options.ts';
import { print } from '../output.ts';
import { programVersion } from '../program-version.ts';

export const buildImage: Command = {
  usage: '[OPTIONS] PATH|ARCHIVE|-',
  description: 'Build an image from a Dockerfile and a context: a directory, an archive, or - for stdin',
  flags: buildFlags,
  args: { min: 1, max: 1 },
  failure: 1,
  async run({ flags, args: [context = ''] }) {
    const { pushed, notes, ...asked } = askedBuild(flags, context);
    if (process.geteuid?.() !== 0) {
      throw new TsrunError('PERMISSION', 'tsrun needs root to build images', { hint: 'run it with sudo' });
    }
    for (const name of ['iidfile', 'metadata-file']) checkPlace(name, flags.string(name));
    const quiet = flags.boolean('quiet');
    const progress = buildProgress(quiet ? 'quiet' : (flags.string('progress') ?? fromEnvironment()));
    for (const note of notes) progress.warn(note);
    const signal = beginInterruption();
    const containers = new ContainerStore();
    const images = new ImageStore(containers.root);
    let success = false;
    let result: BuildResult;
    try {
      const options = { ...asked, version: programVersion, progress, pulling: progress.pulling, signal };
      result = await build({ containers, images }, options);
      success = true;
    } finally {
      progress.finish(success);
    }
    let remote: PushedImage | undefined;
    for (const name of pushed) remote = await pushImage(images, result, name, { quiet, signal });
    const { id } = result;
    if (id !== undefined) writeResult(flags.string('iidfile'), () => id);
    writeResult(flags.string('metadata-file'), () =>
      metadataOf(images, result, remote, asked.outputs.flatMap(namesOf)),
    );
    if (quiet && id !== undefined && !writesToStdout(flags)) print(`${id}\n`);
    return 0;
  },
};

function fromEnvironment(): string {
  const mode = process.env.BUILDKIT_PROGRESS || 'auto';
  try {
    checkProgress(mode);
  } catch (cause) {
    throw new TsrunError('USAGE', `BUILDKIT_PROGRESS: ${cause instanceof Error ? cause.message : mode}`, { cause });
  }
  return mode;
}

function namesOf(output: { kind: string; names?: readonly Reference[] }): string[] {
  return (output.names ?? []).map(formatReference);
}

/** Nobody should wait for a build to hear that its result can be written nowhere. */
function checkPlace(name: string, path: string | undefined): void {
  if (path === undefined || path === '') return;
  const directory = dirname(path);
  const isDirectory = (place: string): boolean => statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isDirectory(directory)) throw new TsrunError('USAGE', `--${name}: directory "${directory}" does not exist`);
  if (isDirectory(path)) throw new TsrunError('USAGE', `--${name}: "${path}" is a directory`);
}

function writeResult(path: string | undefined, make: () => string): void {
  if (path === undefined || path === '') return;
  const text = make();
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new TsrunError('USAGE', `cannot write "${path}": ${errorCode(cause)}`, {
      hint: 'the image was built, and is in the store',
      cause,
    });
  }
}

/** What was built, with buildx's names. The manifest is that of the registry where it was pushed. */
function metadataOf(
  images: ImageStore,
  { id, image }: BuildResult,
  remote: PushedImage | undefined,
  names: readonly string[],
): string {
  const local = image === undefined ? undefined : images.readBlob(image.manifestDigest);
  const manifest =
    remote ??
    (image === undefined || local === undefined
      ? undefined
      : { mediaType: ociManifest, digest: image.manifestDigest, size: local.length });
  const document = {
    ...(id === undefined ? {} : { 'containerimage.config.digest': id }),
    ...(manifest === undefined
      ? {}
      : { 'containerimage.descriptor': manifest, 'containerimage.digest': manifest.digest }),
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** `shown` as `ImagePush` has it. */
async function pushImage(
  store: ImageStore,
  { image }: BuildResult,
  name: Reference,
  shown: { quiet: boolean; signal: AbortSignal },
): Promise<PushedImage | undefined> {
  if (image === undefined) return undefined;
  // A build that does not push does not load what pushes.
  const { pushImages } = await import('../push-images.ts');
  const [pushed] = await pushImages(store, {
    ...shown,
    images: [{ image, tagged: name }],
    repository: name,
    shownOn: 2,
  });
  return pushed;
}
