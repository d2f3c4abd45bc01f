/** What comes of a build (`build --output`): an image in the store, an archive of one, or the files of the stage. */
import { recordTag } from '../container/image-events.ts';
import { writeMergedTree } from '../image/archive/merged-tree.ts';
import type { ByteSink } from '../image/archive/sink.ts';
import { TarWriter } from '../image/archive/tar-writer.ts';
import { parseConfig } from '../image/config.ts';
import { formatConfig, noContainer } from '../image/config-json.ts';
import { type Digest, digestOf } from '../image/digest.ts';
import { addLocalImage } from '../image/local-image.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { type ArchiveFormat, saveImages } from '../image/save.ts';
import type { ImageStore, StoredImage } from '../image/store.ts';
import { formatClock } from './clock.ts';
import { type BuildProgress, type StepProgress, withStep } from './progress.ts';
import type { StageState } from './stage-state.ts';
import { exportTree } from './tree-export.ts';
import { openLayers } from './world.ts';

/** Opens the place of an archive, and gives it up again where `fill` throws. */
export type WriteArchive = (fill: (sink: ByteSink) => void) => void;

/** One of --output. */
export type BuildOutput =
  | { kind: 'image'; names: readonly Reference[] }
  | { kind: 'archive'; format: ArchiveFormat; names: readonly Reference[]; write: WriteArchive }
  | { kind: 'tar'; write: WriteArchive }
  | { kind: 'directory'; path: string };

/** What an image gets that its Dockerfile does not say. */
export interface ImageExtras {
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** The program, for the config. */
  version: string;
}

/** What has been made. */
export interface BuildResult {
  /** Of an image, also where only an archive of it was written; undefined where no image was asked for. */
  id: Digest | undefined;
  /** In the store. */
  image: StoredImage | undefined;
}

/** Writes all of them. Throws what the first reports that fails; those before it stay. */
export async function writeOutputs(
  images: ImageStore,
  { outputs, progress, ...extras }: ImageExtras & { outputs: readonly BuildOutput[]; progress: BuildProgress },
  state: StageState,
): Promise<BuildResult> {
  const work = new Outputs(images, extras, state);
  for (const output of outputs) await withStep(progress, titleOf(output), (step) => work.write(output, step));
  return { id: work.id, image: work.image };
}

/** In BuildKit's words. */
function titleOf(output: BuildOutput): string {
  if (output.kind === 'image') return 'exporting to image';
  if (output.kind === 'directory') return 'exporting to client directory';
  if (output.kind === 'tar') return 'exporting to client tarball';
  return `exporting to ${output.format === 'oci-archive' ? 'oci' : 'docker'} image format`;
}

class Outputs {
  id: Digest | undefined;
  image: StoredImage | undefined;
  private readonly config: Buffer;

  constructor(
    private readonly images: ImageStore,
    private readonly extras: ImageExtras,
    private readonly state: StageState,
  ) {
    this.config = configOf(state, extras);
  }

  write(output: BuildOutput, step: StepProgress): void {
    const say = (text: string): void => step.output(Buffer.from(`${text}\n`));
    if (output.kind === 'image') this.store(output.names, say);
    else if (output.kind === 'archive') this.save(output, say);
    else this.files(output, say);
  }

  private store(names: readonly Reference[], say: (text: string) => void): void {
    const { annotations } = this.extras;
    const { image } = addLocalImage(this.images, {
      config: this.config,
      layers: this.state.layers,
      references: names,
      annotations,
    });
    for (const name of names) recordTag(this.images.root, image, name);
    this.id = image.id;
    this.image = image;
    say(`writing image ${image.id}`);
    for (const name of names) say(`naming to ${formatReference(name)}`);
  }

  private save({ format, names, write }: Extract<BuildOutput, { kind: 'archive' }>, say: (text: string) => void): void {
    const { layers } = this.state;
    const id = digestOf(this.config);
    const config = parseConfig(this.config, { name: `config of the image (${id})`, code: 'ARCHIVE' });
    const image = { id, created: config.created, config, layers, references: names.map(formatReference) };
    const { annotations } = this.extras;
    const saved = { image, references: [...names], configBytes: this.config, annotations };
    write((sink) => saveImages(this.images, [saved], format, sink));
    this.id = id;
    say(`writing image ${id}`);
  }

  private files(output: Extract<BuildOutput, { kind: 'tar' | 'directory' }>, say: (text: string) => void): void {
    const layers = openLayers({ images: this.images }, this.state);
    const paths = layers.paths.reverse();
    try {
      if (output.kind === 'directory') exportTree(paths, output.path);
      else {
        output.write((sink) => {
          const writer = new TarWriter(sink, { onWarning: say });
          writeMergedTree(writer, paths);
          writer.finish();
        });
      }
    } finally {
      layers.close();
    }
  }
}

function configOf(state: StageState, { labels, version }: ImageExtras): Buffer {
  const execution = { ...state.execution, labels: { ...state.execution.labels, ...labels } };
  return formatConfig({
    ...state.platform,
    author: state.author,
    comment: '',
    created: formatClock(state.clock),
    version,
    execution,
    container: noContainer,
    history: state.history,
    diffIds: state.layers.map(({ diffId }): Digest => diffId),
  });
}
