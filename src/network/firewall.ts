/**
 * What to do about a foreign firewall that drops our packets: say which command helps, or (`cooperate`) run it, and its
 * opposite when the last container goes. The only file that starts other programs: each firewall keeps its rules in a
 * form of its own, and loses what is written behind its back.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unlinkIfThere } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import { stateDirectory } from '../linux/paths.ts';
import { step } from '../trace.ts';
import type { FirewallTool, ForeignFirewall } from './foreign-firewall.ts';

type Command = string[];

/** The commands that let a bridge's packets through, each with its opposite; none where only the owner can know. */
export function commandsFor(firewall: ForeignFirewall, bridge: string): { allow: Command; undo: Command }[] {
  const both = (make: (verb: 'I' | 'D', direction: '-i' | '-o') => Command) =>
    (['-i', '-o'] as const).map((direction) => ({ allow: make('I', direction), undo: make('D', direction) }));
  const legacy = firewall.table.startsWith('iptables-legacy') ? 'iptables-legacy' : 'iptables';
  switch (firewall.tool) {
    case 'docker':
      return both((verb, direction) => [legacy, '-w', `-${verb}`, 'DOCKER-USER', direction, bridge, '-j', 'ACCEPT']);
    case 'iptables':
    case 'iptables-legacy':
      return both((verb, direction) => [legacy, '-w', `-${verb}`, 'FORWARD', direction, bridge, '-j', 'ACCEPT']);
    case 'ufw':
      return ['in', 'out'].map((direction) => ({
        allow: ['ufw', 'route', 'allow', direction, 'on', bridge],
        undo: ['ufw', 'route', 'delete', 'allow', direction, 'on', bridge],
      }));
    case 'firewalld':
      return [
        {
          allow: ['firewall-cmd', '--zone=trusted', `--add-interface=${bridge}`],
          undo: ['firewall-cmd', '--zone=trusted', `--remove-interface=${bridge}`],
        },
      ];
    case 'nft':
      return ['iifname', 'oifname'].map((key) => ({
        allow: ['nft', 'insert', 'rule', ...firewall.table.split(' '), firewall.chain, key, bridge, 'accept'],
        undo: [],
      }));
  }
}

const toolNames: Record<FirewallTool, string> = {
  docker: 'docker',
  ufw: 'ufw',
  firewalld: 'firewalld',
  iptables: 'iptables',
  'iptables-legacy': 'iptables (legacy)',
  nft: 'an nftables ruleset',
};

/** One line for the user: what drops, and what helps. */
export function warningFor(firewall: ForeignFirewall, bridge: string): string {
  const commands = commandsFor(firewall, bridge).map(({ allow }) => allow.filter((word) => word !== '-w').join(' '));
  const cooperate = firewall.tool === 'nft' ? '' : '; or let tsrun do it: --firewall=cooperate';
  return (
    `the firewall of this machine (${toolNames[firewall.tool]}: chain ${firewall.chain} of "${firewall.table}") drops ` +
    `forwarded packets, so containers may reach nothing and not be reached; allow them: ${commands.join(' && ')}${cooperate}`
  );
}

/** What was run for the containers, to be undone: `firewall.json` beside the state. */
const undoFile = () => join(stateDirectory(), 'firewall.json');

/**
 * Lets a bridge's packets through the foreign firewalls, and remembers first how to undo it. What fails becomes a warning:
 * a container without a way out is better than none. Runs under the network lock. Throws where nothing can be written down.
 */
export function cooperate(
  firewalls: readonly ForeignFirewall[],
  bridge: string,
  onWarning: (text: string) => void,
): void {
  for (const firewall of firewalls) {
    if (firewall.tool === 'nft') {
      onWarning(warningFor(firewall, bridge));
      continue;
    }
    for (const { allow, undo } of commandsFor(firewall, bridge)) {
      const before = readUndos();
      const isKnown = before.some((known) => known.join(' ') === undo.join(' '));
      if (!isKnown) writeUndos([undo, ...before]);
      const problem = run(allow, `let packets of ${bridge} through ${toolNames[firewall.tool]}`);
      if (problem !== undefined) {
        // Undone, it would take a rule away that is not ours.
        if (!isKnown) writeUndos(before);
        onWarning(`${problem}; ${warningFor(firewall, bridge)}`);
        break;
      }
    }
  }
}

function writeUndos(undos: readonly Command[]): void {
  if (undos.length === 0) {
    unlinkIfThere(undoFile());
    return;
  }
  const path = undoFile();
  writeFileSync(`${path}.new`, JSON.stringify(undos), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Whether `cooperate` changed something that is to be undone. */
export function hasCooperated(): boolean {
  return readUndos().length > 0;
}

/** Takes out what `cooperate` put in. What fails (the other firewall is gone) is as good as done. */
export function stopCooperating(): void {
  for (const command of readUndos()) run(command, 'take the rule out of the foreign firewall again');
  unlinkIfThere(undoFile());
}

/** Our own file, but root runs what it says: only commands that `commandsFor` could have made. */
function readUndos(): Command[] {
  let value: unknown;
  try {
    value = JSON.parse(readOwnText(undoFile()));
  } catch {
    return [];
  }
  const programs = ['iptables', 'iptables-legacy', 'ufw', 'firewall-cmd'];
  if (!Array.isArray(value)) return [];
  return value.filter((command): command is Command => {
    if (!Array.isArray(command) || !command.every((word) => typeof word === 'string')) return false;
    return programs.includes(command[0] ?? '');
  });
}

/** Nothing of the user's but where the system bus is, by which firewall-cmd speaks to its daemon. */
function environment(): Record<string, string> {
  const bus = process.env.DBUS_SYSTEM_BUS_ADDRESS;
  const fixed = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
  return bus === undefined ? fixed : { ...fixed, DBUS_SYSTEM_BUS_ADDRESS: bus };
}

/** Runs a program of the host to its end; what went wrong, or undefined. */
function run(command: Command, title: string): string | undefined {
  const [program = '', ...args] = command;
  return step({ phase: 'network', title, shell: command.join(' ') }, () => {
    // Hardly ever needed, and an import would be paid for by every start.
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    const result = spawnSync(program, args, {
      encoding: 'utf8',
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(),
    });
    if (result.error !== undefined) return `cannot run ${program}: ${result.error.message}`;
    if (result.status === 0) return undefined;
    const said = result.stderr.trim() || result.stdout.trim();
    return `${command.join(' ')} failed${said === '' ? '' : `: ${said.split('\n').at(-1)}`}`;
  });
}
