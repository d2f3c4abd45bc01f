/** Another attempt after a failure that may pass: exponential backoff with jitter, or as long as the server asks. */
import { interrupted, RequestError } from './errors.ts';

export interface RetryPolicy {
  /** How often at most, the first time included. */
  attempts: number;
  /** Milliseconds before the second attempt; doubled for each further one. */
  baseDelay: number;
  maxDelay: number;
  /** The longest wait that a server may ask for by Retry-After; beyond it its answer is final. */
  maxRetryAfter: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 6,
  baseDelay: 500,
  maxDelay: 15_000,
  maxRetryAfter: 60_000,
};

/** Waits, or throws `INTERRUPTED` at once when the signal is given. */
export function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(interrupted());
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(interrupted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Milliseconds to wait before the next attempt, or undefined when there shall be none.
 * @param attempt how many attempts were made without success
 */
export function retryDelay(error: unknown, attempt: number, policy: RetryPolicy): number | undefined {
  if (!(error instanceof RequestError) || !error.transient || attempt >= policy.attempts) return undefined;
  if (error.retryAfter !== undefined) return error.retryAfter > policy.maxRetryAfter ? undefined : error.retryAfter;
  const exponential = Math.min(policy.baseDelay * 2 ** (attempt - 1), policy.maxDelay);
  // Many clients of one broken server must not come back at the same moment.
  return exponential * (0.75 + Math.random() / 2);
}

/** Runs `action` until it succeeds, fails for good, or the attempts are used up. */
export async function withRetry<T>(
  action: () => Promise<T>,
  options: {
    policy: RetryPolicy;
    signal?: AbortSignal | undefined;
    onRetry?: ((error: unknown, delay: number) => void) | undefined;
  },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      const wait = retryDelay(error, attempt, options.policy);
      if (wait === undefined) throw error;
      options.onRetry?.(error, wait);
      await delay(wait, options.signal);
    }
  }
}
