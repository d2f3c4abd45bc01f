import { expect, test } from 'vitest';
import { requireRunning } from '../../../src/container/active.ts';
import { container, id, running } from '../cli/views/container.ts';

test('what does not run is refused with docker words, and what is paused is left to the caller', () => {
  expect(() => requireRunning(container({ state: running([]) }))).not.toThrow();
  expect(() => requireRunning(container({ state: { ...running([]), status: 'paused' } }))).not.toThrow();
  expect(() => requireRunning(container())).toThrow(`Container ${id} is not running`);
});
