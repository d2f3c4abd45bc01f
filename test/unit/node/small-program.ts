/** What the small engine's host is tested with (small-engine.test.ts): a program of cases, of which the first argument chooses one. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { pause } from '../../../src/linux/pause.ts';
import { spawnDetached } from '../../../src/linux/spawn.ts';
import { beginProcess, engine } from '../../../src/node/globals.ts';

const print = (...values: unknown[]): void => void writeSync(1, `${values.join(' ')}\n`);

/** Makes objects that nobody refers to but themselves. */
function cycles(count: number): void {
  for (let made = 0; made < count; made++) {
    const one: { self?: object; bytes: Uint8Array } = { bytes: new Uint8Array(1024) };
    one.self = one;
  }
}

const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

const deep = (depth: number): number => (depth === 0 ? 0 : 1 + deep(depth - 1));

const cases: Record<string, (...args: string[]) => void> = {
  arguments: (...args) => print(JSON.stringify([args, process.env.BYTES, process.env.constructor])),
  /** Jobs of promises run between what is due in the same turn. */
  order: () => {
    for (const name of ['one', 'two']) {
      setTimeout(() => {
        print('timer', name);
        void Promise.resolve().then(() => print('after timer', name));
      }, 1);
      setImmediate(() => {
        print('immediate', name);
        void Promise.resolve().then(() => print('after immediate', name));
      });
    }
    for (const until = performance.now() + 5; performance.now() < until; );
  },
  /** A timer that another one stops or puts off in the same turn does not fire. */
  stopped: () => {
    let late: ReturnType<typeof setTimeout> | undefined;
    setTimeout(() => {
      clearTimeout(stopped);
      late?.refresh();
      print('first');
    }, 1);
    const stopped = setTimeout(() => print('stopped one fires'), 2);
    const began = performance.now();
    late = setTimeout(() => print('late one', performance.now() - began >= 35), 30);
    pause(32);
  },
  rejection: () => {
    process.on('exit', (code) => print('exit', code));
    setTimeout(() => print('nobody comes here'), 1000);
    void Promise.reject(new Error('nobody asks'));
  },
  'rejection of an async function': () => {
    void (async () => {
      await wait(1);
      throw new Error('nobody asks');
    })();
  },
  'rejection that is asked for': () => {
    const rejected = Promise.reject(new Error('asked for'));
    void Promise.resolve().then(() => rejected.catch((error: Error) => print(error.message)));
    void Promise.allSettled([Promise.reject(1), Promise.reject(2)]).then((all) =>
      print(all.map(({ status }) => status)),
    );
  },
  exception: () => {
    process.on('exit', (code) => print('exit', code));
    setTimeout(() => {
      throw new TypeError('of a callback');
    }, 1);
    setTimeout(() => print('nobody comes here'), 1000);
  },
  end: () => {
    process.on('exit', (code) => print('exit', code));
    setTimeout(() => print('not waited for'), 1000).unref();
  },
  'stack overflow': () => {
    try {
      deep(1e6);
    } catch (error) {
      print((error as Error).message);
    }
    try {
      JSON.parse('['.repeat(1e6));
    } catch (error) {
      print((error as Error).message);
    }
    print(deep(100));
  },
  'a large buffer': () => {
    try {
      print(Buffer.alloc(2 ** 30).length);
    } catch (error) {
      print((error as Error).message);
    }
  },
  'all memory': () => {
    const all: object[] = [];
    for (;;) all.push({ all });
  },
  garbage: () => {
    cycles(100_000);
    const before = peak();
    cycles(200_000);
    print(before < 120_000, peak() - before < 8_000);
  },
  /** A listener that listens again is called once for each signal. */
  signals: () => {
    let count = 0;
    const listen = (): void =>
      void process.once('SIGUSR1', () => {
        count++;
        listen();
      });
    listen();
    process.kill(process.pid, 'SIGUSR1');
    setTimeout(() => print('signals', count), 20);
  },
  /** Where no descriptor is left, a signal does what it did before. */
  'signals without descriptors': () => {
    try {
      for (;;) openSync('/dev/null', 'r');
    } catch {
      // This was the last one.
    }
    try {
      process.on('SIGTERM', () => print('heard'));
    } catch (error) {
      print((error as NodeJS.ErrnoException).code, process.listenerCount('SIGTERM'));
    }
    process.kill(process.pid, 'SIGTERM');
    pause(1000);
  },
  pause: () => {
    const began = performance.now();
    pause(20);
    print(performance.now() - began >= 19);
  },
  spawn: (file = '') => {
    const child = spawnDetached(file, ['-c', 'grep -E "^Sig(Blk|Ign)" /proc/self/status; ls /proc/self/fd; pwd'], {
      argv0: 'sh',
      stdio: ['ignore', 1, 1],
    });
    print(child === undefined);
    child?.ref();
    void child?.end.then(() => {
      child.kill('SIGKILL');
      print('ended', child.ended);
    });
  },
  spawnSync: (file = '', ...args) => {
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    const { status, stdout, stderr, error } = spawnSync(file, args, {
      encoding: 'utf8',
      timeout: 300,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH },
    });
    print(JSON.stringify([status, stdout, stderr, (error as NodeJS.ErrnoException | undefined)?.code]));
  },
  'spawnSync with input': () => {
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    const input = 'x'.repeat(1_000_000);
    const { status, stdout } = spawnSync('cat', [], { input, encoding: 'utf8' });
    print(status, stdout === input);
    print(spawnSync('true', [], { input }).status);
  },
};

engine.start = () => {
  beginProcess();
  const [name = '', ...args] = engine.argv.slice(1);
  cases[name]?.(...args);
};
