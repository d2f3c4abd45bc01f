/** In which form the store keeps a layer, and what a pipeline (unpacker.ts) asks of it. */
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../linux/constants.ts';
import { close, openat } from '../../linux/fs.ts';
import { ArchiveRecorder } from './archive-recorder.ts';
import type { DeferredEntry, UnpackedLayer } from './deferred.ts';
import type { UnpackOptions } from './messages.ts';
import { settleLayer } from './settle.ts';
import { TarParser } from './tar-parser.ts';
import { TreeWriter } from './tree-writer.ts';

/** `unpacked`: a directory of files. `erofs`: the archive itself, and beside it an index that the kernel mounts. */
export type LayerFormName = 'unpacked' | 'erofs';

export interface LayerForm {
  /** Bytes of file contents, and members of the archive. */
  readonly bytes: number;
  readonly entries: number;
  /** Takes the next bytes of the archive. Throws `ARCHIVE`, `NO_SPACE` and others. */
  take(chunk: Buffer): void;
  /** The archive is complete; says what is left to settle. */
  finish(): DeferredEntry[];
  /** Fits it onto the layers below: `lowers` are their trees, the lowest first. */
  settle(layer: UnpackedLayer, lowers: readonly string[]): void;
  /** Closes all descriptors; to be called in every case. */
  close(): void;
}

export class UnpackedForm implements LayerForm {
  private readonly root: number;
  private readonly writer: TreeWriter;
  private readonly recorder: ArchiveRecorder | undefined;
  private readonly parser: TarParser;

  /** `umask`: of the thread that runs this. */
  constructor(
    private readonly options: UnpackOptions,
    umask: number,
  ) {
    this.root = openat(AT_FDCWD, options.directory, O_RDONLY | O_DIRECTORY);
    try {
      this.recorder = options.archive === undefined ? undefined : new ArchiveRecorder(options.archive);
      this.writer = new TreeWriter(this.root, { maxEntries: options.maxEntries, umask, recorder: this.recorder });
      this.parser = new TarParser(this.writer);
    } catch (error) {
      this.recorder?.close();
      close(this.root);
      throw error;
    }
  }

  get bytes(): number {
    return this.writer.bytes;
  }

  get entries(): number {
    return this.writer.entries;
  }

  take(chunk: Buffer): void {
    this.recorder?.beginChunk(chunk);
    this.parser.push(chunk);
    this.recorder?.endChunk();
  }

  finish(): DeferredEntry[] {
    this.parser.finish();
    this.recorder?.finish();
    return this.writer.finish();
  }

  settle({ deferred }: UnpackedLayer, lowers: readonly string[]): void {
    const { directory, archive } = this.options;
    settleLayer({ directory, lowers, deferred, archive });
  }

  close(): void {
    this.writer.close();
    this.recorder?.close();
    close(this.root);
  }
}
