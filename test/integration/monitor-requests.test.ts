/** What commands ask of a monitor while their connection lasts: that the container stands still, that they clean up. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { claimReaping, holdFrozen } from '../../src/container/monitor-control.ts';
import { close } from '../../src/linux/fs.ts';
import { Fixture, type FixtureOptions, pipe, until } from './monitor-fixture.ts';

/** Ends at `end`, when its stdin does. */
async function startForeground(): Promise<{ fixture: Fixture; end: () => void }> {
  const stdin = pipe();
  const fixture = await Fixture.start({
    script: 'read line; exit 4',
    stdin: 'once',
    client: [stdin.read, -1, -1],
    reap: (directory) => `touch ${directory}/reaped`,
  });
  close(stdin.read);
  return { fixture, end: () => close(stdin.write) };
}

/** Ends at `end`; nobody is in its foreground. */
async function startDetached(extra: Partial<FixtureOptions> = {}): Promise<{ fixture: Fixture; end: () => void }> {
  const flag = join('/var/tmp', `tsrun-monitor-end.${process.pid}.${Math.random()}`);
  const fixture = await Fixture.start({
    script: `while ! [ -e ${flag} ]; do sleep 0.02; done; rm ${flag}; exit 4`,
    reap: (directory) => `touch ${directory}/reaped`,
    ...extra,
  });
  return { fixture, end: () => writeFileSync(flag, '') };
}

const reaped = ({ directory }: Fixture): boolean => existsSync(join(directory, 'reaped'));

test('who has claimed the cleaning hears of the end, and no command is executed', async () => {
  const { fixture, end } = await startDetached();
  using _ = fixture;
  const claim = claimReaping(fixture.socketPath);
  end();
  expect(await claim?.onExit).toEqual({ status: 4, oomKilled: false, restarts: false });
  expect(fixture.locked).toBe(true);
  claim?.reaped();
  await fixture.handle.ended;
  expect(fixture.locked).toBe(false);
  expect(reaped(fixture)).toBe(false);
});

test('a claim that is given up, before the end or after it, leaves the cleaning to the monitor', async () => {
  for (const early of [true, false]) {
    const { fixture, end } = await startDetached();
    using _ = fixture;
    const claim = claimReaping(fixture.socketPath);
    if (early) claim?.close();
    end();
    if (!early) {
      expect(await claim?.onExit).toMatchObject({ status: 4 });
      claim?.close();
    }
    await until(() => reaped(fixture));
    await fixture.handle.ended;
  }
});

test('one claims: neither a second, nor beside a foreground client', async () => {
  const { fixture, end } = await startDetached();
  using _ = fixture;
  const first = claimReaping(fixture.socketPath);
  expect(first).toBeDefined();
  expect(claimReaping(fixture.socketPath)).toBeUndefined();
  first?.close();
  // The monitor sees the end of the first connection before it accepts the next.
  const second = claimReaping(fixture.socketPath);
  expect(second).toBeDefined();
  end();
  await second?.onExit;
  second?.reaped();
  await fixture.handle.ended;

  const foreground = await startForeground();
  using __ = foreground.fixture;
  expect(claimReaping(foreground.fixture.socketPath)).toBeUndefined();
  foreground.end();
  expect(await foreground.fixture.handle.onExit).toMatchObject({ status: 4 });
  foreground.fixture.handle.reaped();
  await foreground.fixture.handle.ended;
});

test('the cgroup is frozen as long as somebody who wants it is there', async () => {
  const directory = `/var/tmp/tsrun-monitor-cgroup.${process.pid}`;
  mkdirSync(directory);
  const freeze = join(directory, 'cgroup.freeze');
  writeFileSync(freeze, '-');
  const { fixture, end } = await startDetached({ cgroupDirectory: directory });
  using _ = fixture;
  const now = (): string => readFileSync(freeze, 'utf8');
  const first = holdFrozen(fixture.socketPath);
  const second = holdFrozen(fixture.socketPath);
  expect(now()).toBe('1');
  first?.();
  expect(now()).toBe('1');
  second?.();
  expect(now()).toBe('0');
  end();
  await fixture.handle.ended;
  rmSync(directory, { recursive: true });
});
