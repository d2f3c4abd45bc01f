import { expect, test } from 'vitest';
import { commandsFor, warningFor } from '../../../src/network/firewall.ts';
import type { ForeignFirewall } from '../../../src/network/foreign-firewall.ts';
import { parseForward } from '../../../src/network/iptables-legacy.ts';

const docker: ForeignFirewall = { tool: 'docker', table: 'ip filter', chain: 'FORWARD', by: 'policy' };

test('a warning is one line: what drops, and the commands that help', () => {
  expect(warningFor(docker, 'tsrun0')).toBe(
    'the firewall of this machine (docker: chain FORWARD of "ip filter") drops forwarded packets, so containers may ' +
      'reach nothing and not be reached; allow them: iptables -I DOCKER-USER -i tsrun0 -j ACCEPT && ' +
      'iptables -I DOCKER-USER -o tsrun0 -j ACCEPT; or let tsrun do it: --firewall=cooperate',
  );
});

test('what is put in can be taken out', () => {
  for (const tool of ['docker', 'ufw', 'firewalld', 'iptables', 'iptables-legacy'] as const) {
    for (const { allow, undo } of commandsFor({ ...docker, tool }, 'tsrun0')) {
      expect(undo[0]).toBe(allow[0]);
      expect(undo.join(' ')).toMatch(/ -D | delete | --remove-interface=/);
    }
  }
});

/** struct ipt_entry with struct xt_standard_target. */
function entry(o: { in?: string; out?: string; target?: string; verdict?: number; text?: string }): Buffer {
  const bytes = Buffer.alloc(112 + 64);
  bytes.write(o.in ?? '', 16);
  bytes.write(o.out ?? '', 32);
  bytes.writeUInt16LE(112, 88);
  bytes.writeUInt16LE(bytes.length, 90);
  bytes.writeUInt16LE(64, 112);
  bytes.write(o.target ?? '', 114);
  if (o.text !== undefined) bytes.write(o.text, 144);
  else bytes.writeInt32LE(o.verdict ?? -2, 144);
  return bytes;
}

test('the policy of the older forward chain is its last entry', () => {
  const rules = [entry({ in: 'tsrun0' }), entry({ verdict: -1 }), entry({ target: 'ERROR', text: 'DOCKER-USER' })];
  const size = rules[0]?.length ?? 0;
  const table = Buffer.concat(rules);
  expect(parseForward(table, size, 'tsrun0')).toEqual({ drops: true, userChains: ['DOCKER-USER'] });
  expect(parseForward(table, 0, 'tsrun0')?.drops).toBe(false);
  const named = Buffer.concat([entry({ in: 'tsrun0' }), entry({ verdict: -1 }), entry({ out: 'tsrun0' })]);
  expect(parseForward(named, size, 'tsrun0')?.drops).toBe(false);
});

test('an older table that lies about its lengths is not read', () => {
  const bytes = entry({});
  bytes.writeUInt16LE(0, 90);
  expect(parseForward(bytes, 0, 'tsrun0')).toBeUndefined();
  bytes.writeUInt16LE(bytes.length, 90);
  bytes.writeUInt16LE(60_000, 88);
  expect(parseForward(bytes, 0, 'tsrun0')).toBeUndefined();
});
