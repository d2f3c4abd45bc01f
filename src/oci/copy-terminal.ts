/**
 * What stands between a terminal and the one of a container: by Node's streams. Loaded before anything is done by who may need it, since
 * the small engine has none and hands over.
 */
import { ReadStream, WriteStream } from 'node:tty';
import { TsrunError } from '../error.ts';
import { MSG_CMSG_CLOEXEC } from '../linux/constants.ts';
import { isTty, makeRaw, setWindowSize, windowSize } from '../linux/tty.ts';
import { receiveDescriptor, waitReadable } from '../linux/unix-socket.ts';

/** Returns what waits until all output is written. */
export function copyTerminal(
  socket: number,
  on: (name: NodeJS.Signals, listener: () => void) => void,
  undo: (() => void)[],
): () => Promise<void> {
  const master = receiveDescriptor(socket, MSG_CMSG_CLOEXEC);
  if (master === undefined) throw new TsrunError('PROGRAM', "the terminal's master did not come");
  const output = new ReadStream(master);
  const ended = new Promise<void>((resolve) => {
    // EIO: nobody has the other side open any more.
    output.on('error', () => resolve());
    output.on('close', () => resolve());
    output.on('end', () => resolve());
  });
  output.on('data', (chunk) => process.stdout.write(chunk));
  const input = new WriteStream(master);
  input.on('error', () => {});
  const resize = (): void => {
    const { rows, columns } = windowSize(1);
    if (rows > 0) setWindowSize(master, rows, columns);
  };
  if (isTty(0)) undo.push(makeRaw(0));
  resize();
  on('SIGWINCH', resize);
  process.stdin.on('data', (chunk) => input.write(chunk));
  process.stdin.on('error', () => {});
  undo.push(() => process.stdin.pause());
  // What a child of the command still has open keeps the other side alive: it is waited for only while there is something to read.
  const quiet = async (): Promise<void> => {
    do await new Promise<void>((resolve) => setTimeout(resolve, 200));
    while (waitReadable(master, 0));
  };
  return () => Promise.race([ended, quiet()]);
}
