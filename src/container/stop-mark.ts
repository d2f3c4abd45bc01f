/**
 * `containers/<id>/stop`: that somebody stopped the container, so that no restart policy undoes it (docker's
 * HasBeenManuallyStopped). It lies in the data root, since it counts after a reboot too; `start` takes it away.
 *
 * The monitor looks at it before each restart, and again between writing down the new process and letting it run. So who
 * marks first and then reads the state misses no process: either the monitor sees the mark, or the reader the process.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { syscall } from '../linux/ffi.ts';
import { close } from '../linux/fs.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import { signals } from '../linux/signals.ts';
import { step } from '../trace.ts';
import { tellStopped } from './monitor-control.ts';
import type { Container } from './record.ts';
import { isMonitored } from './state.ts';
import { markStopped as markStep } from './steps.ts';
import type { ContainerStore } from './store.ts';
import { writeWhole } from './write-record.ts';

/** `manual`: by a person's hand. `final`: no policy holds any more, until the next start. */
export interface StopMark {
  manual: boolean;
  final: boolean;
}

/** Reads the mark of a container's directory. */
export function readStopMark(directory: string): StopMark {
  let words: string[] = [];
  try {
    words = readOwnText(join(directory, 'stop')).trim().split(' ');
  } catch {
    // Nobody has stopped it.
  }
  return { manual: words.includes('manual'), final: words.includes('final') };
}

/**
 * Marks the container as stopped, beside what was marked before, and has its monitor look. On a full disk the monitor is told:
 * nothing else keeps its policy from undoing the stop. That it was by hand is forgotten with the monitor then.
 */
export function markStopped(store: ContainerStore, container: Container, mark: StopMark): void {
  step(markStep(), () => setMark(store, container, mark));
}

function setMark(store: ContainerStore, container: Container, mark: StopMark): void {
  const { record, state } = container;
  try {
    writeMark(container, mark);
  } catch (error) {
    if (!tellStopped(store.socket(record.id), mark)) throw error;
    return;
  }
  if (state.start !== undefined && state.start.monitorPid > 0) {
    const monitor = syscall('pidfd_open', state.start.monitorPid, 0);
    if (monitor < 0) return;
    if (isMonitored(state.start)) syscall('pidfd_send_signal', monitor, signals.SIGUSR1, 0, 0);
    close(monitor);
  }
}

function writeMark({ record, directory }: Container, mark: StopMark): void {
  const before = readStopMark(directory);
  const words = [...(before.manual || mark.manual ? ['manual'] : []), ...(before.final || mark.final ? ['final'] : [])];
  writeWhole(join(directory, 'stop'), (temporary) => {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, `${words.join(' ')}\n`);
      // What is to hold after a power cut; without a policy nothing depends on it.
      if (record.options.restart.name !== 'no') fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** The container is started by hand, or by `start-all`: its policy holds again. */
export function clearStopMark(directory: string): void {
  unlinkIfThere(join(directory, 'stop'));
}
