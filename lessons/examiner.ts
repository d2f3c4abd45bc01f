/**
 * What checks are made of (`tsrun learn check`): the learner's program is run with a command in its container, and the check
 * looks at that command's process from outside, in /proc. So it does not matter how the program is written.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What is missing, in each language: one sentence that helps. */
export interface Problem {
  en: string;
  ru: string;
}

/** For machines that are busy; what is right is seen at once. */
const patience = 30_000;

/** Runs a check: no problem ends with 0, one is printed and ends with 1. */
export async function examine(check: () => Promise<Problem | undefined>): Promise<never> {
  let problem: Problem | undefined;
  try {
    problem = await check();
  } catch (error) {
    if (!(error instanceof Unexpected)) throw error;
    problem = error.problem;
  } finally {
    for (const each of running) each.kill();
  }
  if (problem !== undefined) console.log(process.env.TSRUN_LESSON_LANG === 'ru' ? problem.ru : problem.en);
  process.exit(problem === undefined ? 0 : 1);
}

class Unexpected extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.en);
    this.problem = problem;
  }
}

const running = new Set<Run>();

/** The learner's program, started with the words of a command for its container. */
export class Run {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #exitStatus: number | undefined;
  stdout = '';
  stderr = '';

  constructor(words: readonly string[], environment: Record<string, string> = {}) {
    const [file = '', ...args] = JSON.parse(process.env.TSRUN_LESSON_RUN ?? '[]') as string[];
    // A process group of its own, so that all of it can be ended.
    this.#child = spawn(file, [...args, ...words], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    running.add(this);
    this.#child.stdout?.on('data', (chunk) => (this.stdout += chunk));
    this.#child.stderr?.on('data', (chunk) => (this.stderr += chunk));
    this.#child.stdin?.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#exitStatus = code ?? 128;
        running.delete(this);
        resolve(this.#exitStatus);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends its stdin, which ends `cat`, and waits: the exit status. */
  async end(): Promise<number> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.kill(), patience);
    const status = await this.#ended;
    clearTimeout(timer);
    return status;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  kill(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  }

  /** Waits until `look` finds something; undefined where the program ends first, or never comes to it. */
  async until<T>(look: () => T | undefined): Promise<T | undefined> {
    for (const deadline = Date.now() + patience; Date.now() < deadline && this.#exitStatus === undefined; ) {
      const found = look();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return look();
  }

  /** The process of the container's command, once it runs. Else what the program said is the problem. */
  async command(name: string): Promise<number> {
    const found = await this.until(() => descendants(this.pid).find((pid) => read(pid, 'comm').trim() === name));
    if (found !== undefined) return found;
    this.kill();
    await this.#ended;
    const said = this.stderr.trim();
    throw new Unexpected({
      en: `The command "${name}" does not come to run in your container.${said === '' ? '' : ` Your program says:\n${said}`}`,
      ru: `Команда «${name}» в вашем контейнере так и не запустилась.${said === '' ? '' : ` Ваша программа пишет:\n${said}`}`,
    });
  }
}

/** Starts the learner's program with `cat`, which stays until its stdin ends; its pid as the host sees it. */
export async function startCat(): Promise<{ run: Run; pid: number }> {
  const run = new Run(['cat']);
  return { run, pid: await run.command('cat') };
}

/** A file of /proc/PID; empty where the process has ended. */
export function read(pid: number | 'self', file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** A field of /proc/PID/status. */
export function statusOf(pid: number, field: string): string {
  return new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(read(pid, 'status'))?.[1] ?? '';
}

/** A link of /proc/PID: `ns/mnt`, `root`, `exe`. */
export function link(pid: number | 'self', name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return '';
  }
}

/** Whether two processes are in one namespace of a type. */
export function shares(type: string, pid: number, other: number | 'self' = 'self'): boolean {
  return link(pid, `ns/${type}`) === link(other, `ns/${type}`);
}

/** The mounts that a process sees, by where they are; later ones lie on top. */
export function mountsOf(pid: number): Map<string, { type: string; options: string; superOptions: string }> {
  const mounts = new Map<string, { type: string; options: string; superOptions: string }>();
  for (const line of read(pid, 'mountinfo').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const fields = before.split(' ');
    const [type = '', , superOptions = ''] = after.split(' ');
    if (fields[4] !== undefined) mounts.set(fields[4], { type, options: fields[5] ?? '', superOptions });
  }
  return mounts;
}

/** All processes below one, the nearest first. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(Number(name), 'stat');
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const found = [pid];
  for (const parent of found) for (const [child, of] of parents) if (of === parent) found.push(child);
  return found.slice(1);
}
