/**
 * `top`: the host's ps(1) on the processes of a container, as docker has it. It is the one process that is spawned for it,
 * since its options are its own language.
 */
import { codeOf, TsrunError } from '../error.ts';

export interface ProcessTable {
  titles: string[];
  rows: string[][];
}

/** What `ps OPTIONS` says of `pids`. Throws `USAGE` with its first line of complaint, `UNSUPPORTED` where it is missing. */
export function processTable(options: readonly string[], pids: readonly number[]): ProcessTable {
  // Another column that is titled PID would choose the wrong lines.
  for (const [, column, title] of options.join(' ').matchAll(/\s+(\S*)=\s*(PID\S*)/g)) {
    if (column !== 'pid') throw new TsrunError('USAGE', `specifying "${column}=${title}" is not allowed`);
  }
  // Some options (f among them) do not go together with -q.
  const text = runPs([...options, `-q${pids.join(',')}`]).stdout ?? fullList(options);
  return select(text, new Set(pids.map(String)));
}

function fullList(options: readonly string[]): string {
  const { stdout, complaint } = runPs(options);
  if (stdout !== undefined) return stdout;
  throw new TsrunError('USAGE', `ps: ${complaint.replace(/^(error: |ps: )+/, '')}`, {
    hint: 'man 1 ps has its options',
  });
}

function runPs(options: readonly string[]): { stdout: string | undefined; complaint: string } {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const result = spawnSync('ps', [...options], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (result.error !== undefined) {
    throw new TsrunError('UNSUPPORTED', `cannot run ps: ${codeOf(result.error) ?? result.error.message}`, {
      cause: result.error,
      hint: "top shows what the host's ps says: apt install procps",
    });
  }
  if (result.status === 0) return { stdout: result.stdout, complaint: '' };
  return { stdout: undefined, complaint: result.stderr.split('\n')[0] || `exit status ${result.status}` };
}

/** The lines of `pids`; the last column takes what is left of a line. Throws `USAGE` where no column tells pids. */
export function select(text: string, pids: ReadonlySet<string>): ProcessTable {
  const [head = '', ...lines] = text.split('\n');
  const titles = words(head);
  const column = titles.indexOf('PID');
  if (column < 0) {
    throw new TsrunError('USAGE', "Couldn't find PID field in ps output", {
      hint: 'add it to the columns, for example: -o pid,comm',
    });
  }
  const rows: string[][] = [];
  let ours = false;
  for (const line of lines) {
    const fields = words(line);
    if (fields.length === 0) continue;
    // Lines with "-" belong to the process above them: its threads (ps -m).
    ours = fields[column] === '-' ? ours : pids.has(fields[column] ?? '');
    if (!ours) continue;
    const last = titles.length - 1;
    rows.push([...fields.slice(0, last), fields.slice(last).join(' ')]);
  }
  return { titles, rows };
}

function words(line: string): string[] {
  return line.split(/[\t\n\f\r ]+/).filter((word) => word !== '');
}
