/** Runs a shell in what a start has made so far (src/runtime/compile/visit.ts), and waits for it. */
import { spawn } from 'node:child_process';
import { O_RDWR } from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { AT_FDCWD, check, close, openat, sealedMemfd } from '../linux/fs.ts';
import { monitorExecutable } from '../linux/monitor-executable.ts';
import { foregroundGroup } from '../linux/tty.ts';
import { encodeProgram } from '../program/encode.ts';
import { compileVisit, type VisitOptions } from '../runtime/compile/visit.ts';
import { foreignNamespaces } from '../runtime/namespaces.ts';
import type { MadeSoFar } from './start.ts';

/**
 * `terminal`: the descriptor that the shell reads and writes. `container`: what the process of the container may do, where the
 * root is that of the image. Returns the exit status: 127 where there is no /bin/sh.
 */
export async function visit(
  made: MadeSoFar,
  terminal: number,
  container: VisitOptions['container'],
  environment: readonly string[],
): Promise<number> {
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    let target: VisitOptions['target'];
    let fd = made.netns;
    if (made.pid !== 0) {
      fd = keep(check(syscall('pidfd_open', made.pid, 0), 'pidfd_open'));
      target = { kind: 'process', namespaces: foreignNamespaces(made.pid).filter((type) => type !== 'time') };
    } else if (fd >= 0) target = { kind: 'network' };
    const program = keep(
      sealedMemfd('tsrun-visit', encodeProgram(compileVisit({ target, container, env: environment }))),
    );
    const unused = keep(openat(AT_FDCWD, '/dev/null', O_RDWR));
    const stdio = [terminal, terminal, terminal, program, ...Array<number>(5).fill(unused), fd < 0 ? unused : fd];
    const child = spawn(`/proc/${process.pid}/fd/${monitorExecutable()}`, ['run'], {
      argv0: 'tsrun-monitor',
      cwd: '/',
      env: {},
      stdio,
    });
    return await new Promise((resolve) => {
      child.once('error', () => resolve(126));
      child.once('exit', (code) => resolve(code ?? 128));
    });
  } finally {
    for (const fd of opened) close(fd);
    // A shell with job control in a pid namespace does not know whom it took the terminal from.
    foregroundGroup(terminal);
  }
}
