/** Tries a break-out (`tsrun learn breakout`): makes what it is after, runs a lesson's program with it, and takes all away again. */
import { spawn } from 'node:child_process';
import type { BreakOut } from './kit.ts';

const { TSRUN_LESSON_BREAKOUT: path = '', TSRUN_LESSON_RUN: words = '[]' } = process.env;
const { default: breakOut } = (await import(path)) as { default: BreakOut };
const [file = '', ...args] = JSON.parse(words) as string[];
const undo = await breakOut.prepare?.();
const status = await new Promise<number>((resolve) => {
  spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] }).once('close', (code) => resolve(code ?? 125));
});
undo?.();
process.exit(status);
