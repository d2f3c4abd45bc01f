/**
 * The thread that unpacks one layer (messages.ts says how one talks to it). It is a bundle of its own, so that it starts
 * without loading the command line.
 */
import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { messageOf, TsrunError } from '../../error.ts';
import { CLONE_FS } from '../../linux/constants.ts';
import { syscall } from '../../linux/ffi.ts';
import type { FromWorker, ToWorker, UnpackOptions } from './messages.ts';
import { LayerUnpacker } from './unpacker.ts';

const port = parentPort;
if (port === null) throw new Error('this is the unpack worker; LayerWriter starts it');

function post(message: FromWorker, transfer: readonly TransferListItem[] = []): void {
  port?.postMessage(message, transfer);
}

/**
 * Takes this thread's umask out of the way. Umask belongs to fs_struct, which threads share until one of them unshares it
 * (man 2 unshare, CLONE_FS); a sandbox may forbid that, and then modes are set one by one.
 */
function clearUmask(): number {
  if (syscall('unshare', CLONE_FS) < 0) return process.umask();
  syscall('umask', 0);
  return 0;
}

const options = workerData as UnpackOptions;
let unpacker: LayerUnpacker | undefined;

/** Ends this thread: closes what it has open, and lets the event loop run dry. */
function end(): void {
  unpacker?.close();
  unpacker = undefined;
  port?.close();
}

function fail(error: unknown): void {
  const known = error instanceof TsrunError;
  post({
    type: 'failed',
    code: known ? error.code : 'SYSCALL',
    message: known ? error.message : `unpacking failed: ${messageOf(error)}`,
    hint: known ? error.hint : undefined,
  });
  end();
}

async function handle(message: ToWorker): Promise<void> {
  if (unpacker === undefined) return;
  switch (message.type) {
    case 'chunk':
      await unpacker.write(Buffer.from(message.memory, 0, message.length));
      post({ type: 'taken', memory: message.memory, length: message.length }, [message.memory]);
      return;
    case 'end':
      post({ type: 'done', layer: await unpacker.finish() });
      if (options.form !== 'erofs') end();
      return;
    case 'settle':
      unpacker.settle(message.lowers);
      post({ type: 'settled' });
      end();
      return;
    default:
      end();
  }
}

/** Messages are handled one after the other; an abort does not wait for those before it. */
let queue = Promise.resolve();

port.on('message', (message: ToWorker) => {
  if (message.type === 'abort') {
    end();
    return;
  }
  queue = queue.then(() => handle(message)).catch(fail);
});

try {
  unpacker = new LayerUnpacker(options, clearUmask());
} catch (error) {
  fail(error);
}
