/** `exec`. */
import { readFileSync } from 'node:fs';
import { TsrunError } from '../../../error.ts';
import { SOCK_STREAM } from '../../../linux/constants.ts';
import { close } from '../../../linux/fs.ts';
import { isTty } from '../../../linux/tty.ts';
import { socketPair } from '../../../linux/unix-socket.ts';
import { checkProcess, isMapped } from '../../../oci/bundle.ts';
import { connectConsole, sendPidfd } from '../../../oci/descriptors.ts';
import { execProcess } from '../../../oci/exec.ts';
import { becomeSubreaper, waitForProcess } from '../../../oci/foreground.ts';
import type { OciContainer } from '../../../oci/store.ts';
import { parseExactJson } from '../../../runtime/json.ts';
import { parseProcess } from '../../../runtime/parse-spec.ts';
import type { Process } from '../../../runtime/spec.ts';
import type { ParsedFlags } from '../../arguments.ts';
import type { OciCommand } from '../command.ts';
import { writePidFile } from './create.ts';

export const exec: OciCommand = {
  usage: '[OPTIONS] CONTAINER [COMMAND [ARG...]]',
  flags: [
    { name: 'process', short: 'p', type: 'string', description: 'File with the process as in config.json' },
    { name: 'detach', short: 'd', type: 'bool', description: 'Do not wait for the end' },
    { name: 'pid-file', type: 'string', description: 'File that the pid is written to' },
    { name: 'tty', short: 't', type: 'bool', description: 'With a terminal' },
    { name: 'console-socket', type: 'string', description: "Unix socket that gets the terminal's master" },
    { name: 'pidfd-socket', type: 'string', description: 'Unix socket that gets a pidfd of the process' },
    { name: 'cwd', type: 'string', description: 'Working directory' },
    { name: 'env', short: 'e', type: 'list', description: 'NAME=value' },
    { name: 'user', short: 'u', type: 'string', description: 'UID[:GID]' },
    { name: 'additional-gids', short: 'g', type: 'list', description: 'A supplementary group' },
    { name: 'cap', short: 'c', type: 'list', description: 'A further capability' },
    { name: 'no-new-privs', type: 'bool', description: 'Programs give no new privileges' },
    { name: 'apparmor', type: 'string', description: 'Profile of AppArmor' },
    { name: 'process-label', type: 'string', description: 'Label of SELinux' },
    { name: 'preserve-fds', type: 'uint', description: 'How many further descriptors from 3 on to hand on' },
    { name: 'cgroup', type: 'list', description: "[CONTROLLER,...:]PATH of a cgroup below the container's" },
    { name: 'ignore-paused', type: 'bool', description: 'Also in a paused container' },
    { name: 'no-subreaper', type: 'bool', description: 'Accepted for compatibility', hidden: true },
  ],
  args: { min: 1 },
  flagsFirst: true,
  failure: 255,
  run: async ({ flags, args, store, log }) => {
    const container = store.get(args[0] ?? '');
    const status = container.status();
    if (status === 'stopped') throw new TsrunError('CONFLICT', 'cannot exec in a stopped container');
    if (status === 'paused' && !flags.boolean('ignore-paused')) {
      throw new TsrunError('CONFLICT', 'cannot exec in a paused container (use --ignore-paused to override)');
    }
    const mapped = isMapped(container.spec().linux?.namespaces);
    const asked = processOf(flags, args.slice(1), container);
    const process = checkProcess(asked, mapped, (message) => log.warn(message));
    const detached = flags.boolean('detach');
    const copying = detached ? undefined : await import('../../../oci/copy-terminal.ts');
    if (!detached) becomeSubreaper();
    let master: number | undefined;
    const pid = execProcess(container, {
      process,
      preserveFds: flags.integer('preserve-fds') ?? 0,
      cgroup: flags.strings('cgroup'),
      plainTerminal: !detached && !flags.string('console-socket') && !isTty(1),
      onCreated: (created) => {
        writePidFile(flags.string('pid-file'), created);
        sendPidfd(flags.string('pidfd-socket'), created);
      },
      connectConsole: () => {
        const path = flags.string('console-socket');
        if (detached || path || process.terminal !== true) return connectConsole(process, path);
        const [own, theirs] = socketPair(SOCK_STREAM);
        master = own;
        return theirs;
      },
    });
    if (copying === undefined) return 0;
    const code = await waitForProcess(pid, master, copying.copyTerminal);
    if (master !== undefined) close(master);
    return code;
  },
};

function processOf(flags: ParsedFlags, command: readonly string[], container: OciContainer): Process {
  const file = flags.string('process');
  if (file !== undefined) {
    const process = parseProcess(parseExactJson(readFileSync(file, 'utf8')), 'process');
    return flags.boolean('tty') ? { ...process, terminal: true } : process;
  }
  if (command.length === 0) throw new TsrunError('USAGE', 'exec needs a command, or --process FILE');
  const base = container.spec().process ?? { cwd: '/', user: { uid: 0, gid: 0 } };
  const { consoleSize: _, ...rest } = base;
  const profile = flags.string('apparmor');
  const label = flags.string('process-label');
  return {
    ...rest,
    args: [...command],
    terminal: flags.boolean('tty'),
    cwd: flags.string('cwd') ?? base.cwd,
    env: withVariables(base.env ?? [], flags.strings('env')),
    user: userOf(flags, base),
    ...(flags.has('no-new-privs') ? { noNewPrivileges: flags.boolean('no-new-privs') } : {}),
    ...(profile === undefined ? {} : { apparmorProfile: profile }),
    ...(label === undefined ? {} : { selinuxLabel: label }),
    ...capabilitiesOf(flags.strings('cap'), base),
  };
}

/** What is given takes the place of what the container has: getenv(3) would find the first. */
function withVariables(base: readonly string[], given: readonly string[]): string[] {
  const nameOf = (entry: string): string => entry.slice(0, entry.indexOf('='));
  const names = new Set(given.map(nameOf));
  return [...base.filter((entry) => !names.has(nameOf(entry))), ...given];
}

function userOf(flags: ParsedFlags, { user }: Process): Process['user'] {
  const extra = flags.strings('additional-gids').map(Number);
  const groups = extra.length === 0 ? {} : { additionalGids: [...(user.additionalGids ?? []), ...extra] };
  const text = flags.string('user');
  if (text === undefined) return { ...user, ...groups };
  const match = /^(\d+)(?::(\d+))?$/.exec(text);
  if (match === null)
    throw new TsrunError('USAGE', `--user ${JSON.stringify(text)} must be UID or UID:GID, as numbers`);
  return { ...user, ...groups, uid: Number(match[1]), ...(match[2] === undefined ? {} : { gid: Number(match[2]) }) };
}

/** As runc has it: not inheritable. Ambient where the container lets it be inherited. */
function capabilitiesOf(names: readonly string[], { capabilities }: Process): Pick<Process, 'capabilities'> {
  if (names.length === 0) return capabilities === undefined ? {} : { capabilities };
  const add = (set: readonly string[] = []): string[] => [...set, ...names];
  return {
    capabilities: {
      ...capabilities,
      bounding: add(capabilities?.bounding),
      effective: add(capabilities?.effective),
      permitted: add(capabilities?.permitted),
      ambient: [
        ...(capabilities?.ambient ?? []),
        ...names.filter((name) => capabilities?.inheritable?.includes(name) === true),
      ],
    },
  };
}
