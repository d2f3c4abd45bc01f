/** `list`, `ps` and `state`. */
import { readFileSync } from 'node:fs';
import { processesBelow } from '../../../cgroup/index.ts';
import { TsrunError } from '../../../error.ts';
import type { OciContainer } from '../../../oci/store.ts';
import { OCI_VERSION } from '../../../runtime/spec.ts';
import type { ParsedFlags } from '../../arguments.ts';
import { print } from '../../output.ts';
import { printForeign } from '../../terminal.ts';
import type { OciCommand } from '../command.ts';

/** The document of `state`, with runc's fields beside those of the specification. */
function describe(container: OciContainer): Record<string, unknown> {
  const { record } = container;
  const status = container.status();
  return {
    ociVersion: OCI_VERSION,
    id: record.id,
    pid: status === 'stopped' ? 0 : record.pid,
    status,
    bundle: record.bundle,
    rootfs: record.rootfs,
    created: record.created,
    ...(record.annotations === undefined ? {} : { annotations: record.annotations }),
    owner: ownerName(record.uid),
  };
}

function ownerName(uid: number): string {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , id] = line.split(':');
    if (id === String(uid)) return name;
  }
  return String(uid);
}

export const state: OciCommand = {
  usage: 'CONTAINER',
  flags: [],
  args: { min: 1, max: 1 },
  run: async ({ args, store }) => {
    printForeign(`${JSON.stringify(describe(store.get(args[0] ?? '')), null, 2)}\n`);
    return 0;
  },
};

function formatOf(flags: ParsedFlags): 'json' | 'table' {
  const format = flags.string('format') ?? 'table';
  if (format === 'json' || format === 'table') return format;
  throw new TsrunError('USAGE', `invalid format option: ${JSON.stringify(format)}; it is json or table`);
}

const formatFlag = { name: 'format', short: 'f', type: 'string', description: 'table (default) or json' } as const;

export const list: OciCommand = {
  usage: '[OPTIONS]',
  flags: [formatFlag, { name: 'quiet', short: 'q', type: 'bool', description: 'Only ids' }],
  args: { min: 0, max: 0 },
  run: async ({ flags, store }) => {
    const containers = store.all();
    if (flags.boolean('quiet')) print(containers.map(({ record }) => `${record.id}\n`).join(''));
    else if (formatOf(flags) === 'json') printForeign(`${JSON.stringify(containers.map(describe))}\n`);
    else {
      const columns = ['id', 'pid', 'status', 'bundle', 'created', 'owner'];
      const rows = containers.map(describe).map((row) => columns.map((name) => String(row[name] ?? '')));
      printForeign(table([columns.map((name) => name.toUpperCase()), ...rows]));
    }
    return 0;
  },
};

function table(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}

export const ps: OciCommand = {
  usage: '[OPTIONS] CONTAINER [OPTIONS OF ps]',
  flags: [formatFlag],
  args: { min: 1 },
  flagsFirst: true,
  run: async ({ flags, args, store }) => {
    const [id = '', ...options] = args;
    const container = store.get(id);
    const { record } = container;
    const pids = record.cgroup === '' ? [record.pid] : processesBelow(record.cgroup);
    if (!container.isAlive()) pids.splice(0);
    if (formatOf(flags) === 'json') {
      print(`${JSON.stringify(pids)}\n`);
      return 0;
    }
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    const { status, stdout, stderr, error } = spawnSync('ps', options.length === 0 ? ['-ef'] : options, {
      encoding: 'utf8',
    });
    if (error !== undefined || status !== 0) {
      throw new TsrunError('UNSUPPORTED', `ps failed: ${error?.message ?? stderr.trim()}`, {
        hint: 'it lists the processes of the host: apt install procps; or use --format json',
      });
    }
    const lines = stdout.split('\n').filter((line) => line !== '');
    const at = (lines[0] ?? '').trim().split(/\s+/).indexOf('PID');
    if (at < 0) throw new TsrunError('USAGE', "couldn't find PID field in ps output");
    const wanted = new Set(pids.map(String));
    const rows = lines.slice(1).filter((line) => wanted.has(line.trim().split(/\s+/)[at] ?? ''));
    printForeign(`${[lines[0] ?? '', ...rows].join('\n')}\n`);
    return 0;
  },
};
