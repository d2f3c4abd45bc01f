import { expect, test } from 'vitest';
import * as own from '../../../src/node/abort.ts';
import { structuredClone as ownClone } from '../../../src/node/structured-clone.ts';

/** What happens to the listeners of a controller's signal, in order. */
function story(Controller: typeof AbortController): unknown[] {
  const told: unknown[] = [];
  const { signal } = new Controller();
  const controller = new Controller();
  const first = (event: Event): void => void told.push(['first', event.type, event.target === controller.signal]);
  const removed = (): void => void told.push('removed');
  const second = (): void => controller.signal.removeEventListener('abort', removed);
  controller.signal.addEventListener('abort', first, { once: true });
  controller.signal.addEventListener('abort', first);
  controller.signal.addEventListener('abort', second);
  controller.signal.addEventListener('abort', removed);
  controller.signal.onabort = () => told.push('onabort');
  controller.signal.throwIfAborted();
  told.push(controller.signal.aborted, controller.signal.reason);
  controller.abort();
  controller.abort('again');
  const reason = controller.signal.reason as DOMException;
  told.push(controller.signal.aborted, reason.name, reason.code, reason.message, signal.aborted);
  try {
    controller.signal.throwIfAborted();
  } catch (error) {
    told.push(error === reason);
  }
  const other = new Controller();
  other.abort('why');
  other.signal.addEventListener('abort', removed);
  told.push(other.signal.reason);
  return told;
}

test('a signal is aborted once, with its reason, and calls whom Node calls', () => {
  expect(story(own.AbortController as never)).toEqual(story(AbortController));
  expect(own.AbortSignal.abort('x')).toMatchObject({ aborted: true, reason: 'x' });
});

test('an option of a listener that is not known is refused', () => {
  const target = new own.EventTarget();
  expect(() => target.addEventListener('abort', () => {}, { passive: true } as never)).toThrow('"passive"');
});

test('data is cloned as by Node', () => {
  const circle: Record<string, unknown> = { list: [1, 'a', null, undefined, 1n], when: new Date(5) };
  circle.self = circle;
  circle.twice = [circle.list, circle.list];
  circle.map = new Map([[{ a: 1 }, new Set([1, 'b'])]]);
  circle.bytes = Uint8Array.of(1, 2);
  const clone = ownClone(circle);
  expect(clone).toEqual(structuredClone(circle));
  expect(clone.self).toBe(clone);
  expect(clone.list).not.toBe(circle.list);
  const [one, other] = clone.twice as unknown[];
  expect(one).toBe(other);
  expect(() => ownClone({ f: () => 1 })).toThrow(expect.objectContaining({ name: 'DataCloneError', code: 25 }));
  expect(() => ownClone(/a/)).toThrow('[object RegExp]');
});
