/** Signal names and numbers (man 7 signal); the same on x86-64 and arm64. */
import { constants } from 'node:os';

/** Number of a signal by docker's ways to write it: `TERM`, `SIGTERM`, `15`. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined;
  const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`;
  const realtime = /^SIGRTMIN(?:\+(\d+))?$/.exec(name);
  if (realtime !== null) return 34 + Number(realtime[1] ?? 0);
  const fromEnd = /^SIGRTMAX(?:-(\d+))?$/.exec(name);
  if (fromEnd !== null) return 64 - Number(fromEnd[1] ?? 0);
  const table: Readonly<Record<string, number | undefined>> = constants.signals;
  return table[name];
}

/** `SIGTERM`; `SIGRTMIN+1` for those of the real-time range. */
export function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found?.[0] ?? `SIGRTMIN+${number - 34}`;
}

/** The names without SIG, as people type them. */
export function signalNames(): string[] {
  return Object.keys(constants.signals).map((name) => name.replace(/^SIG/, ''));
}
