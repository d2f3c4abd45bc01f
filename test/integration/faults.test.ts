import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, test } from 'vitest';
import { findCgroup2 } from '../../src/cgroup/index.ts';
import { createContainer } from '../../src/container/create.ts';
import { Engine } from '../../src/container/engine.ts';
import type { Container } from '../../src/container/record.ts';
import { type StartObserver, startContainer } from '../../src/container/start.ts';
import { ContainerStore } from '../../src/container/store.ts';
import { TsrunError } from '../../src/error.ts';
import type { Operation, Program } from '../../src/program/program.ts';
import { failed } from '../../src/program/render.ts';
import { runOptions } from '../fixtures/run-options.ts';
import { environment, tsrunOk, tsrunPath } from './tsrun.ts';

const engine = new Engine(new ContainerStore(inject('root'), inject('state')));

beforeAll(async () => {
  process.env.TSRUN_MIRRORS = `docker.io=http://${inject('registry')}`;
  await engine.ensureImage({ image: 'busybox', pull: 'missing' }, { pulling: () => () => {} });
});

/** The program with another call at operation `index`. */
function changed(program: Program, index: number, { call, args }: Pick<Operation, 'call' | 'args'>): Program {
  const operations = program.operations.map((operation, at): Operation => {
    if (at !== index) return operation;
    return {
      ...operation,
      call,
      args,
      tolerate: [],
      expect: 'not-negative',
      retry: undefined,
      remember: false,
    };
  });
  return { ...program, operations };
}

/** The program with operation `index` made to fail: close(2) of a descriptor that is not open. */
function failing(program: Program, index: number): Program {
  return changed(program, index, { call: 'close', args: [99_999] });
}

function makeContainer(options: Parameters<typeof runOptions>[0]): Container {
  const image = engine.images.require('busybox');
  const { execution } = image.config;
  const layers = image.layers.map(({ chainId }) => ({ chainId, path: '' }));
  return createContainer(
    engine.containers,
    runOptions({ image: 'busybox', ...options }),
    { ...execution, id: image.id, layers },
    () => {},
  );
}

async function start(container: Container, transform: (program: Program) => Program): Promise<void> {
  const started = await startContainer(engine.containers, container, {
    foreground: undefined,
    layers: engine.images.openLayers(container.record.image.layers),
    onNotice: () => {},
    transform,
  });
  started.monitor.close();
  started.lock.release();
}

/** Processes that run from a memfd of ours: monitors, and children of theirs that have not executed anything yet. */
function ownProcesses(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'latin1').startsWith('tsrun-monitor');
    } catch {
      return false;
    }
  });
}

const cases: [string, Parameters<typeof runOptions>[0]][] = [
  [
    'with pipes, a network, limits and another user',
    {
      command: ['sleep', '100'],
      network: 'bridge',
      user: '1000:1000',
      interactive: true,
      workingDir: '/made/here',
      ulimits: [{ name: 'nofile', soft: 100, hard: 100 }],
    },
  ],
  [
    'with a terminal, init and no network',
    {
      command: ['sh'],
      network: 'none',
      terminal: true,
      interactive: true,
      init: true,
      readOnly: true,
      securityOpt: ['no-new-privileges'],
      oomScoreAdj: 100,
    },
  ],
];

test.each(cases)('whatever step fails is named, and nothing is left: %s', { timeout: 240_000 }, async (_, options) => {
  const others = ownProcesses();
  const container = makeContainer(options);
  try {
    let length = 1;
    for (let index = 0; index < length; index++) {
      let operation: Operation | undefined;
      let failure: unknown;
      try {
        await start(container, (program) => {
          length = program.operations.length;
          operation = program.operations[index];
          // Behind the last execve stands only `fail`, which is not reached.
          return index === length - 1 ? failing(program, index - 1) : failing(program, index);
        });
      } catch (error) {
        failure = error;
      }
      expect(failure, `step ${index + 1}: ${operation?.title}`).toBeInstanceOf(TsrunError);
      if (!(failure instanceof TsrunError) || operation === undefined || index === length - 1) continue;
      expect(failure.message).toContain(`${failed(operation.title)}: EBADF (step ${index + 1} of ${length}: close(`);
      expect(failure.exitCode).toBe(125);
      expect(engine.containers.read(container.record.id)?.state).toMatchObject({
        status: 'created',
        pid: 0,
        error: failure.message,
      });
      expect(existsSync(join(engine.containers.stateDirectory(container.record.id), 'attach.sock'))).toBe(false);
    }
    expect(length).toBeGreaterThan(100);
    await expect.poll(() => ownProcesses().filter((pid) => !others.includes(pid)), { timeout: 5000 }).toEqual([]);
  } finally {
    engine.containers.remove(container.record);
  }
});

test('a container that is gone before it is set up is not run again by a monitor that nobody knows of', async () => {
  const others = ownProcesses();
  const restart = { name: 'always', maximumRetryCount: 0 } as const;
  const container = makeContainer({ command: ['sleep', '100'], network: 'none', restart });
  try {
    const starting = start(container, (program) => {
      const index = program.operations.findIndex(({ phase }) => phase === 'rootfs');
      return changed(program, index, { call: 'exit_group', args: [7] });
    });
    await expect(starting).rejects.toThrow('ended before it was set up');
    await expect.poll(() => ownProcesses().filter((pid) => !others.includes(pid)), { timeout: 5000 }).toEqual([]);
    expect(engine.containers.isLocked(container.record.id)).toBe(false);
    expect(existsSync(join(container.directory, 'exit.json'))).toBe(false);
  } finally {
    engine.containers.remove(container.record);
  }
});

test('a start that fails because it is interrupted is given up, and its container goes with it', async () => {
  // Ctrl-C is for all processes of a job: the monitor ends with it when it has not come to leave the job.
  const controller = new AbortController();
  const run = (interrupted: boolean): Promise<unknown> => {
    const observer: StartObserver = {
      begin: (program) => {
        // The signal is heard after its effect.
        if (interrupted) setImmediate(() => controller.abort());
        return { program: failing(program, 0), traceFd: -1 };
      },
      ready: () => {},
      settled: () => {},
    };
    const io = { notice: () => {}, pulling: () => () => {}, signal: controller.signal, observer };
    const options = runOptions({ image: 'busybox', name: 'interrupted', command: ['true'], network: 'none' });
    return engine.run(options, io, () => {});
  };
  await expect(run(false)).rejects.toMatchObject({ code: 'PROGRAM' });
  await tsrunOk(['rm', 'interrupted']);
  await expect(run(true)).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
  expect(engine.containers.nameOwner('interrupted')).toBeUndefined();
});

test('a start that is killed when its cgroup has just been made is cleaned up after', async () => {
  const parent = join(findCgroup2()?.mountPoint ?? '', 'tsrun');
  for (let round = 0; round < 5; round++) {
    const container = makeContainer({ command: ['sleep', '100'], network: 'none' });
    const { id } = container.record;
    const child = spawn(tsrunPath, ['start', id], { env: environment(), stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Without a pause: the moment is short.
    const deadline = performance.now() + 20_000;
    while (!existsSync(join(parent, id)) && performance.now() < deadline);
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(join(parent, id))).toBe(true);
    await tsrunOk(['rm', '-f', id]);
    expect(existsSync(join(parent, id))).toBe(false);
  }
});
