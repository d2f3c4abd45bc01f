/**
 * Streams one layer into a directory, in a thread of its own (node:worker_threads): system calls that block and 100 % of
 * a core are no business of the thread that talks to registries and users.
 */
import { Worker } from 'node:worker_threads';
import { messageOf, TsrunError } from '../../error.ts';
import { unpackWorker } from '../../linux/artifacts.ts';
import type { UnpackedLayer } from './deferred.ts';
import type { LayerFormName } from './layer-form.ts';
import type { FromWorker, ToWorker, UnpackOptions } from './messages.ts';
import { settleLayer } from './settle.ts';

/** Bytes of a message to the worker: small chunks of a download are collected until one is full. */
const chunkSize = 1024 * 1024;
/** Chunks that may be on their way before `write` waits. */
const chunksMax = 4;

/** What a layer may inflate to, in bytes, unless the caller says otherwise: far above real ones, far below a disk. */
export const defaultMaxBytes = 64 * 1024 ** 3;
/** Files, directories and markers that a layer may have. */
export const defaultMaxEntries = 2_000_000;

export interface LayerWriterOptions {
  /** Exists and is empty; its owner and mode become those of the layer's root. */
  directory: string;
  /** Media type of the layer's descriptor. */
  mediaType: string;
  /** Bytes the layer may inflate to; `defaultMaxBytes` if left out. */
  maxBytes?: number | undefined;
  /** `defaultMaxEntries` if left out. */
  maxEntries?: number | undefined;
  /** The layer's own directory, beside the tree: the archive is remembered there, so that it can be made again. */
  archive?: string | undefined;
  /** `unpacked` if left out; `erofs` needs `archive`, and makes no tree of files in `directory`. */
  form?: LayerFormName | undefined;
}

export class LayerWriter {
  private readonly worker: Worker;
  /** The chunk that is being filled; its memory goes to the worker and comes back. */
  private filling: Uint8Array<ArrayBuffer> | undefined;
  private fill = 0;
  private readonly spare: ArrayBuffer[] = [];
  private underway = 0;
  private failure: TsrunError | undefined;
  private result: UnpackedLayer | undefined;
  private settled = false;
  private exited = false;
  /** Called at whatever changes: room for a chunk, the end, a failure. */
  private wake: () => void = () => {};

  private constructor(private readonly options: UnpackOptions) {
    this.worker = new Worker(unpackWorker(), { workerData: options, name: 'unpack', execArgv: [] });
    this.worker.on('message', (message: FromWorker) => this.take(message));
    this.worker.on('error', (error) => this.fail(new TsrunError('SYSCALL', messageOf(error), { cause: error })));
    this.worker.on('exit', () => {
      this.exited = true;
      if (!this.isComplete()) this.fail(new TsrunError('SYSCALL', 'the unpack worker ended unexpectedly'));
      this.wake();
    });
  }

  /** Starts the worker. Throws `UNSUPPORTED` when it was not built. */
  static start(options: LayerWriterOptions): LayerWriter {
    return new LayerWriter({
      directory: options.directory,
      mediaType: options.mediaType,
      maxBytes: options.maxBytes ?? defaultMaxBytes,
      maxEntries: options.maxEntries ?? defaultMaxEntries,
      archive: options.archive,
      form: options.form,
    });
  }

  /**
   * Takes compressed bytes and resolves when the next may come. The bytes are copied before it returns the promise, so
   * the caller may use their memory again at once. Rejects with what went wrong with this or an earlier chunk: `ARCHIVE`,
   * `NO_SPACE`, `PERMISSION`, …; the directory is then to be removed (removeTree).
   */
  async write(chunk: Uint8Array): Promise<void> {
    let position = 0;
    while (position < chunk.length) {
      if (this.failure !== undefined) throw this.failure;
      this.filling ??= new Uint8Array(this.spare.pop() ?? new ArrayBuffer(chunkSize));
      const step = Math.min(chunk.length - position, chunkSize - this.fill);
      this.filling.set(chunk.subarray(position, position + step), this.fill);
      this.fill += step;
      position += step;
      if (this.fill === chunkSize) {
        this.flush();
        while (this.underway > chunksMax && this.failure === undefined) await this.change();
      }
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** No more bytes will come: resolves when all files are there. Rejects as `write` does. */
  async finish(): Promise<UnpackedLayer> {
    this.flush();
    if (this.failure === undefined) this.send({ type: 'end' });
    while (!this.exited && !(this.isInMemory() && this.result !== undefined)) await this.change();
    if (this.result === undefined) throw this.failure ?? new TsrunError('SYSCALL', 'the unpack worker gave no result');
    return this.result;
  }

  /**
   * Fits the layer onto those below, after `finish`: `lowers` are their trees, the lowest first. Rejects with `ARCHIVE` for a
   * hard link to nothing, and as `write` does.
   */
  async settle(lowers: readonly string[]): Promise<void> {
    if (!this.isInMemory()) {
      const { directory, archive } = this.options;
      settleLayer({ directory, lowers, deferred: this.result?.deferred ?? [], archive });
      return;
    }
    if (this.failure === undefined) this.send({ type: 'settle', lowers });
    while (!this.exited) await this.change();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Whether the worker keeps the tree until it is settled. */
  private isInMemory(): boolean {
    return this.options.form === 'erofs';
  }

  private isComplete(): boolean {
    return this.isInMemory() ? this.settled : this.result !== undefined;
  }

  /** Gives up; when it resolves, nothing writes into the directory any more. */
  async abort(): Promise<void> {
    this.failure ??= new TsrunError('INTERRUPTED', 'unpacking was given up');
    if (!this.exited) this.send({ type: 'abort' });
    while (!this.exited) await this.change();
  }

  private take(message: FromWorker): void {
    switch (message.type) {
      case 'taken':
        this.underway--;
        this.spare.push(message.memory);
        break;
      case 'done':
        this.result = message.layer;
        break;
      case 'settled':
        this.settled = true;
        break;
      default:
        this.fail(new TsrunError(message.code, message.message, { hint: message.hint }));
    }
    this.wake();
  }

  private fail(error: TsrunError): void {
    this.failure ??= error;
    this.wake();
  }

  private flush(): void {
    if (this.filling === undefined || this.fill === 0) return;
    const memory = this.filling.buffer;
    const length = this.fill;
    this.filling = undefined;
    this.fill = 0;
    if (this.exited) return;
    this.underway++;
    this.send({ type: 'chunk', memory, length }, [memory]);
  }

  private send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.wake;
      this.wake = () => {
        this.wake = () => {};
        before();
        resolve();
      };
    });
  }
}
