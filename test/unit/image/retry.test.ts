import { describe, expect, test } from 'vitest';
import { RequestError } from '../../../src/image/errors.ts';
import { parseRetryAfter } from '../../../src/image/registry-errors.ts';
import { defaultRetryPolicy, delay, retryDelay, withRetry } from '../../../src/image/retry.ts';

const policy = { attempts: 4, baseDelay: 100, maxDelay: 250, maxRetryAfter: 1000 };
const passing = new RequestError('REGISTRY', 'x', { transient: true });

test('waits grow, with a spread of a quarter, up to the longest; then the attempts are used up', () => {
  for (const [attempt, expected] of [
    [1, 100],
    [2, 200],
    [3, 250],
  ] as const) {
    const wait = retryDelay(passing, attempt, policy) ?? 0;
    expect(wait).toBeGreaterThanOrEqual(expected * 0.75);
    expect(wait).toBeLessThanOrEqual(expected * 1.25);
  }
  expect(retryDelay(passing, 4, policy)).toBeUndefined();
});

test('what will not pass is not tried again', () => {
  expect(retryDelay(new RequestError('NOT_FOUND', 'x'), 1, policy)).toBeUndefined();
  expect(retryDelay(new Error('x'), 1, policy)).toBeUndefined();
});

test('a server that asks to wait is obeyed within limits', () => {
  const asks = (retryAfter: number) => new RequestError('RATE_LIMIT', 'x', { transient: true, retryAfter });
  expect(retryDelay(asks(700), 1, policy)).toBe(700);
  expect(retryDelay(asks(0), 1, policy)).toBe(0);
  expect(retryDelay(asks(1001), 1, policy)).toBeUndefined();
});

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['Wed, 21 Oct 2015 07:28:10 GMT', 10_000],
  ['Wed, 21 Oct 2015 07:27:00 GMT', 0],
  ['soon', undefined],
  ['-1', undefined],
  [undefined, undefined],
])('Retry-After: %s', (value, expected) => {
  const now = Date.parse('2015-10-21T07:28:00Z');
  expect(parseRetryAfter(value, now)).toBe(expected);
});

describe('withRetry', () => {
  test('reports each wait and returns the first success', async () => {
    const waits: number[] = [];
    let calls = 0;
    const result = await withRetry(
      async () => {
        if (++calls < 3) throw passing;
        return 'ok';
      },
      { policy: { ...policy, baseDelay: 1 }, onRetry: (_error, wait) => waits.push(wait) },
    );
    expect([result, calls, waits.length]).toEqual(['ok', 3, 2]);
  });

  test('throws the last error', async () => {
    let calls = 0;
    const failing = withRetry(
      async () => {
        throw new RequestError('REGISTRY', `failure ${++calls}`, { transient: true });
      },
      { policy: { ...policy, baseDelay: 1 } },
    );
    await expect(failing).rejects.toThrow('failure 4');
  });

  test('Ctrl-C ends a wait at once', async () => {
    const stop = new AbortController();
    const start = performance.now();
    const waiting = withRetry(() => Promise.reject(passing), { policy: defaultRetryPolicy, signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await expect(waiting).rejects.toThrow(expect.objectContaining({ code: 'INTERRUPTED', exitCode: 130 }));
    expect(performance.now() - start).toBeLessThan(300);
    await expect(delay(1000, stop.signal)).rejects.toThrow('interrupted');
  });
});
