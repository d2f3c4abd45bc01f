import './host.ts';
import * as real from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { outcome, within } from './beside-node.ts';

const { watch, watchBy } = await import('../../../src/node/fs-watch.ts');

test('says that there is no watch until there is an event loop, then what changes', () => {
  within((directory) => {
    expect(() => watch(directory)).toThrow('ENOSYS');
    /** An event loop of one turn: calls whoever waits for a descriptor. */
    const waiting = new Map<number, () => void>();
    const turn = (): void => {
      for (const call of [...waiting.values()]) call();
    };
    watchBy((fd, call) => {
      waiting.set(fd, call);
      return () => waiting.delete(fd);
    });
    expect(outcome(directory, () => watch(join(directory, 'missing')))).toEqual(
      outcome(directory, () => real.watch(join(directory, 'missing'))),
    );

    const seen: unknown[] = [];
    const watcher = watch(directory, (event, name) => seen.push([event, name]));
    turn();
    expect(seen).toEqual([]);
    real.writeFileSync(join(directory, 'a-name'), 'x');
    real.renameSync(join(directory, 'a-name'), join(directory, 'ä'));
    real.mkdirSync(join(directory, 'd'));
    real.rmdirSync(join(directory, 'd'));
    turn();
    expect(seen).toEqual([
      ['rename', 'a-name'],
      ['change', 'a-name'],
      ['rename', 'a-name'],
      ['rename', 'ä'],
      ['rename', 'd'],
      ['rename', 'd'],
    ]);
    const [fd] = [...waiting.keys()];
    watcher.close();
    watcher.close();
    expect(waiting.size).toBe(0);
    expect(() => real.fstatSync(fd as number)).toThrow('EBADF');
  });
});
