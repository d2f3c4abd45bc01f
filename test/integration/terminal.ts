/** A real terminal for tests: one tmux server on a private socket, with keys, a screen and a size that changes. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { environment, tsrunPath } from './tsrun.ts';

export class Terminal {
  private readonly directory: string;
  private readonly socket: string;
  private readonly status: string;

  /** Opens a terminal of `columns` x `rows` that runs `command`; the screen stays when it ends. */
  constructor(
    command: readonly string[],
    options: { columns?: number; rows?: number; env?: Record<string, string> } = {},
  ) {
    this.directory = mkdtempSync('/var/tmp/tsrun-terminal.');
    this.socket = join(this.directory, 'socket');
    this.status = join(this.directory, 'status');
    const env = environment(options.env);
    const size = ['-x', String(options.columns ?? 80), '-y', String(options.rows ?? 24)];
    // remain-on-exit before the command starts: one that ends at once would take the server with it.
    this.tmux(['-f', '/dev/null', 'new-session', '-d', ...size, 'sleep 1000'], env);
    this.tmux(['set-option', '-g', 'remain-on-exit', 'on']);
    this.tmux(['set-option', '-g', 'status', 'off']);
    // The shell notes the exit status: tmux does not always learn it. Its trap keeps it alive through Ctrl-C, and is not
    // inherited by the command.
    const script = 'trap : INT QUIT; "$@"; echo $? >"$0.part"; mv "$0.part" "$0"';
    this.tmux(['respawn-pane', '-k', '--', 'sh', '-c', script, this.status, ...command]);
  }

  /** A terminal that runs `tsrun ARGS…`. */
  static tsrun(args: readonly string[], options: { columns?: number; rows?: number } = {}): Terminal {
    return new Terminal([tsrunPath, ...args], options);
  }

  private tmux(args: readonly string[], env?: Record<string, string>): string {
    return execFileSync('tmux', ['-S', this.socket, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(env === undefined ? {} : { env }),
    });
  }

  /** Types text as it is. */
  type(text: string): void {
    this.tmux(['send-keys', '-l', '--', text]);
  }

  /** Presses keys by tmux's names: `Enter`, `C-c`, `C-p`. */
  press(...keys: string[]): void {
    this.tmux(['send-keys', '--', ...keys]);
  }

  resize(columns: number, rows: number): void {
    this.tmux(['resize-window', '-x', String(columns), '-y', String(rows)]);
  }

  /** What is on the screen, without empty lines at its end. */
  screen(): string {
    return this.tmux(['capture-pane', '-p', '-J']).trimEnd();
  }

  /** Waits until the screen shows `pattern`; throws with the screen after `timeout` milliseconds. */
  async waitFor(pattern: string | RegExp, timeout = 15_000): Promise<string> {
    const shows = (screen: string) => (typeof pattern === 'string' ? screen.includes(pattern) : pattern.test(screen));
    const deadline = Date.now() + timeout;
    for (;;) {
      const screen = this.screen();
      if (shows(screen)) return screen;
      if (Date.now() > deadline) throw new Error(`the terminal never showed ${pattern}:\n${screen}`);
      await delay(30);
    }
  }

  /** Waits until the command has ended; returns its exit status (128+n for signal n). */
  async exit(timeout = 15_000): Promise<number> {
    const deadline = Date.now() + timeout;
    while (!existsSync(this.status)) {
      if (Date.now() > deadline) throw new Error(`the command has not ended:\n${this.screen()}`);
      await delay(30);
    }
    return Number(readFileSync(this.status, 'utf8'));
  }

  /** Ends the terminal and what still runs in it (SIGHUP). */
  close(): void {
    try {
      this.tmux(['kill-server']);
    } catch {
      // The server has ended already.
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
