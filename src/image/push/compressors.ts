/** Threads that compress, as many as there are processors: started when the first piece comes, shared by all layers of a push. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { messageOf, TsrunError } from '../../error.ts';
import { compressWorker } from '../../linux/artifacts.ts';
import { pieceMax } from '../archive/layer-archive.ts';
import type { FromCompressor, ToCompressor } from './compress-worker.ts';

/** More gain nothing while one thread reads, hashes and sends. */
const maxThreads = 8;

interface Thread {
  worker: Worker;
  /** Pieces that it has. */
  busy: number;
}

export class Compressors {
  readonly #threads: Thread[] = [];
  readonly #underway = new Map<number, { done: (result: Buffer) => void; fail: (error: unknown) => void }>();
  readonly #spare: ArrayBuffer[] = [];
  #next = 0;

  /** How many pieces keep all threads busy. */
  readonly ahead = Math.min(maxThreads, availableParallelism()) + 1;

  /** One piece as a member of gzip. The bytes are copied before it returns. Rejects when the thread fails. */
  compress(bytes: Uint8Array): Promise<Buffer> {
    const memory = this.#spare.pop() ?? new ArrayBuffer(pieceMax);
    new Uint8Array(memory).set(bytes);
    const id = this.#next++;
    const thread = this.#idlest();
    thread.busy++;
    return new Promise((done, fail) => {
      this.#underway.set(id, { done, fail });
      const message: ToCompressor = { id, memory, length: bytes.length };
      thread.worker.postMessage(message, [memory]);
    });
  }

  #idlest(): Thread {
    if (this.#threads.length < this.ahead - 1) this.#threads.push(this.#start());
    return this.#threads.reduce((best, thread) => (thread.busy < best.busy ? thread : best));
  }

  #start(): Thread {
    const worker = new Worker(compressWorker(), { name: 'compress', execArgv: [] });
    const thread: Thread = { worker, busy: 0 };
    worker.on('message', ({ id, memory, result, error }: FromCompressor) => {
      thread.busy--;
      this.#spare.push(memory);
      const waiting = this.#underway.get(id);
      this.#underway.delete(id);
      if (result !== undefined) waiting?.done(Buffer.from(result.buffer, result.byteOffset, result.length));
      else waiting?.fail(new TsrunError('SYSCALL', `cannot compress: ${error}`));
    });
    const ended = (why: string, cause?: unknown): void => {
      const index = this.#threads.indexOf(thread);
      // It was told to end.
      if (index === -1) return;
      this.#threads.splice(index, 1);
      const failure = new TsrunError('SYSCALL', `cannot compress: ${why}`, { cause });
      for (const { fail } of this.#underway.values()) fail(failure);
      this.#underway.clear();
    };
    worker.on('error', (error) => ended(messageOf(error), error));
    worker.on('exit', () => ended('a thread ended unexpectedly'));
    return thread;
  }

  /** Ends the threads; nothing is to be under way that anybody waits for. */
  close(): void {
    const message: ToCompressor = { id: 0, length: 0 };
    for (const { worker } of this.#threads.splice(0)) worker.postMessage(message);
  }
}
