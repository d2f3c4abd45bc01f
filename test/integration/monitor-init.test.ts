/** The init mode as pid 1 of a pid namespace, behind a terminal: what only shows there. */
import { expect, test } from 'vitest';
import { artifact } from '../../src/linux/artifacts.ts';
import { close, writeAll } from '../../src/linux/fs.ts';
import { makeRaw } from '../../src/linux/tty.ts';
import { Fixture, Reader, terminal } from './monitor-fixture.ts';

/** A script that becomes init of a new pid namespace, with `command` run by it. */
function underInit(command: string): string {
  const quoted = `'${command.replaceAll("'", "'\\''")}'`;
  const inner = `exec -a tsrun-init ${artifact('tsrun-monitor')} sh -c ${quoted}`;
  return `exec unshare --pid --fork --mount-proc --kill-child bash -c '${inner.replaceAll("'", "'\\''")}'`;
}

test('Ctrl-C reaches the command and not init, whose status is that of the command', async () => {
  const { master, slave } = terminal();
  const restore = makeRaw(slave);
  const reader = new Reader(master);
  using fixture = await Fixture.start({
    script: underInit(
      'cat /proc/1/comm; echo "group $(ps -o pgid= -p $$ | tr -d " ") of $(ps -o tpgid= -p $$ | tr -d " ")"; trap "echo caught; exit 21" INT; echo ready; while :; do sleep 0.02; done',
    ),
    tty: true,
    stdin: 'once',
    client: [slave, slave, slave],
  });
  await reader.waitFor('ready');
  expect(reader.text).toMatch(/group (\d+) of \1\r\n/);
  writeAll(master, Buffer.from('\x03'));
  await reader.waitFor('caught');
  expect(await fixture.handle.onExit).toMatchObject({ status: 21 });
  restore();
  reader.close();
  close(slave);
});

test('as pid 1 it forwards what it is sent, and reaps what it adopts', async () => {
  const { master, slave } = terminal();
  const restore = makeRaw(slave);
  const reader = new Reader(master);
  using fixture = await Fixture.start({
    script: underInit(
      'trap "echo terminated; exit 22" TERM; sh -c "sleep 0.05 & exit 0"; sleep 0.2; echo "zombies $(ps ax -o stat= | grep -c Z)"; kill -TERM 1; while :; do sleep 0.02; done',
    ),
    tty: true,
    stdin: 'once',
    client: [slave, slave, slave],
  });
  await reader.waitFor('terminated');
  expect(reader.text).toContain('zombies 0\r\n');
  expect(await fixture.handle.onExit).toMatchObject({ status: 22 });
  restore();
  reader.close();
  close(slave);
});
