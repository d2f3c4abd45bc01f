/** Signal names and numbers (man 7 signal); the same on x86-64 and arm64. */

/** The signals below the real-time range (man 7 signal, "Signal numbering"). Not node:os's, which takes milliseconds to load. */
export const signals = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGIOT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCHLD: 17,
  SIGSTKFLT: 16,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPOLL: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const satisfies Readonly<Record<string, number>>;

/** Number of a signal by docker's ways to write it: `TERM`, `SIGTERM`, `15`. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined;
  const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`;
  const realtime = /^SIGRTMIN(?:\+(\d+))?$/.exec(name);
  const inRange = (number: number): number | undefined => (number >= 34 && number <= 64 ? number : undefined);
  if (realtime !== null) return inRange(34 + Number(realtime[1] ?? 0));
  const fromEnd = /^SIGRTMAX(?:-(\d+))?$/.exec(name);
  if (fromEnd !== null) return inRange(64 - Number(fromEnd[1] ?? 0));
  const table: Readonly<Record<string, number | undefined>> = signals;
  return table[name];
}

/** `SIGTERM`; `SIGRTMIN+1` for those of the real-time range. */
export function signalName(number: number): string {
  const found = Object.entries(signals).find(([, value]) => value === number);
  return found?.[0] ?? `SIGRTMIN+${number - 34}`;
}

/** The names without SIG, as people type them. */
export function signalNames(): string[] {
  return Object.keys(signals).map((name) => name.replace(/^SIG/, ''));
}
