/**
 * Many containers at once, each with a published port and a log: starting all of them, listing, stopping and removing.
 * Docker starts, and so do we, four at a time.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { type Comparison, output, time } from './harness.ts';
import { type Engine, withEngines } from './peers.ts';

const count = 200;
const parallel = 4;
/** How much longer a list of all of them may take than an empty one, and one `inspect` than beside one container. */
const factor = 1.3;
/** Samples of what is listed. */
const looks = 9;
/** Ends at once when it is asked to, as a service does; a bare `sleep` as pid 1 ignores SIGTERM. */
const service = 'trap "exit 0" TERM; echo started; while :; do sleep 1000 & wait; done';

/** One command, without keeping this process from starting the next. */
function begin(engine: Engine, args: readonly string[]): Promise<void> {
  const [file = '', ...prefix] = engine.command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...prefix, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...engine.env },
    });
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${args.join(' ')}: ${complaint}`))));
  });
}

/** Seconds that `run -d` takes for so many containers, some at a time. `what`: the image and its command. */
export async function startAll(
  engine: Engine,
  names: readonly string[],
  flagsOf: (index: number) => readonly string[],
  what: readonly string[],
): Promise<number> {
  const start = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < names.length) {
      const index = next++;
      const flags = [...engine.runFlags, '--name', names[index] ?? '', ...flagsOf(index)];
      await begin(engine, ['run', '-d', ...flags, ...what]);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return (performance.now() - start) / 1000;
}

const lists = ['ps', 'ps -a', 'images', 'inspect'] as const;

export async function benchMany(directory: string): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const steps = ['start', 'list', 'stop', 'remove'] as const;
    const samples: Record<(typeof steps)[number], Record<string, number[]>> = {
      start: {},
      list: {},
      stop: {},
      remove: {},
    };
    const full: Record<(typeof lists)[number], Record<string, number[]>> = {
      ps: {},
      'ps -a': {},
      images: {},
      inspect: {},
    };
    const names = Array.from({ length: count }, (_, index) => `many${index}`);
    for (const engine of engines) {
      const run = (...args: string[]) => time([...engine.command, ...args], { env: engine.env }) / 1000;
      const look = (how: string): void => {
        for (const list of lists) {
          const words = list === 'inspect' ? ['inspect', 'beside'] : list.split(' ');
          run(...words);
          full[list][`${engine.name}, ${how}`] = Array.from({ length: looks }, () => run(...words));
        }
      };
      run('create', '--name', 'beside', ...engine.runFlags, 'busybox', 'true');
      look('none');
      const publish = (index: number) => ['--publish', `${20_000 + index}:80`];
      samples.start[engine.name] = [await startAll(engine, names, publish, ['busybox', 'sh', '-c', service])];
      look('all');
      samples.list[engine.name] = full.ps[`${engine.name}, all`] ?? [];
      const running = output([...engine.command, 'ps', '-q'], { env: engine.env }).split('\n');
      if (running.length !== count) throw new Error(`${engine.name}: ${running.length} of ${count} containers run`);
      samples.stop[engine.name] = [run('stop', ...names)];
      samples.remove[engine.name] = [run('rm', ...names)];
      run('rm', 'beside');
      process.stderr.write('.');
    }
    process.stderr.write('\n');
    const whole: Comparison[] = steps.map((step) => ({
      title: `${step} ${count} containers, each with a published port and a log`,
      unit: 's',
      ours: 'tsrun',
      samples: samples[step],
    }));
    const listed: Comparison[] = lists.map((list) => ({
      title: `${list} while ${count} containers run, and while none does`,
      unit: 's',
      ours: 'tsrun, all',
      samples: full[list],
      target: { peers: ['tsrun, none'], factor },
    }));
    return [...whole, ...listed];
  });
}
