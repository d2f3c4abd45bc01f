/** What the engine does on the host for a container, in words: read by the code that does it, and by explain. */
import type { Step } from '../trace.ts';

export function findImage(image: string): Step {
  return {
    phase: 'image',
    title: `find the image "${image}"`,
    why: 'its config says what is run and by whom, its layers are the files; what is not in the store is pulled first',
  };
}

export function makeRecord(id: string): Step {
  return {
    phase: 'rootfs',
    title: `make the directory of the container ${id.slice(0, 12)}`,
    why: 'its record, its log, and "upper", where all goes that the container writes',
  };
}

export function mountLayer(index: number): Step {
  return {
    phase: 'rootfs',
    title: `mount layer ${index}`,
    why: "the layer's archive as it came, with an index beside it: no file of it was ever made",
  };
}

export function shareLayer(index: number, id: string): Step {
  return {
    phase: 'rootfs',
    title: `clone the mount of layer ${index} that container ${id.slice(0, 12)} has`,
    why: 'what one of them has read the other finds in memory; its monitor holds the mount, and a copy of the descriptor is taken (man 2 pidfd_getfd)',
  };
}

export function listenForClients(): Step {
  return {
    phase: 'monitor',
    title: 'make the socket for further clients',
    why: '"attach" comes in by it; where it lies with nobody behind it, a later command knows that there is something to clean up',
  };
}

export function compileSeccomp(): Step {
  return {
    phase: 'security',
    title: 'compile the seccomp profile',
    why: 'the kernel takes a program for its filter machine, not a list of names; what was compiled once is kept',
  };
}

export function compileProgram(): Step {
  return {
    phase: 'monitor',
    title: 'compile the start program',
    why: 'all decisions are made here; the machine only runs them',
  };
}

export function startMonitor(): Step {
  return {
    phase: 'monitor',
    title: 'start the monitor',
    why: 'the parent of a container must outlive the command line and be small',
  };
}

export function compileCommand(): Step {
  return { phase: 'monitor', title: 'compile the program of the command', why: 'all decisions are made here' };
}

export function startCommandMonitor(): Step {
  return { phase: 'monitor', title: 'start the monitor of the command' };
}

export function disconnectNetwork(): Step {
  return { phase: 'teardown', title: 'disconnect the network' };
}

export function removeCgroup(): Step {
  return { phase: 'teardown', title: 'remove the cgroup' };
}

export function takeMountsAway(): Step {
  return {
    phase: 'teardown',
    title: 'take the mounts of the container away',
    why: 'without a mount namespace of its own they are mounts of this machine, and do not end with its processes',
    shell: 'umount -R --lazy "$ROOT"',
  };
}

export function removeContainer(isRemovedByItself: boolean): Step {
  return {
    phase: 'teardown',
    title: 'remove the container',
    why: isRemovedByItself ? 'it was run with --rm' : 'its directory with all that it wrote, and its name',
  };
}

export function markStopped(): Step {
  return {
    phase: 'teardown',
    title: 'mark the container as stopped',
    why: 'no restart policy is to undo it; the monitor looks at the mark before it starts anything again',
  };
}

export function sendSignal(name: string, pid: number): Step {
  return {
    phase: 'teardown',
    title: `send ${name} to process ${pid}`,
    why: 'by its pidfd: the number alone could be another process by now',
    shell: `kill -${name.replace(/^SIG/, '')} ${pid}`,
  };
}

/** `seconds`: -1 for as long as it takes. */
export function waitForEnd(seconds: number): Step {
  return {
    phase: 'teardown',
    title: seconds < 0 ? 'wait for its end' : `wait for its end, at most ${seconds} s`,
    why: 'a program that was asked to end may want to put its things in order',
  };
}

export function waitForCleaning(): Step {
  return {
    phase: 'teardown',
    title: 'wait until it has been cleaned up after',
    why: 'whoever does it holds the lock of the container: its foreground command, or its monitor by "tsrun reap"',
  };
}
