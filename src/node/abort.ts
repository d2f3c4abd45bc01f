/** EventTarget, AbortController and what belongs to them, https://dom.spec.whatwg.org/, without a tree of targets. */

type Listener = ((event: Event) => void) | { handleEvent(event: Event): void };

export class Event {
  readonly defaultPrevented = false;
  target: EventTarget | null = null;

  constructor(readonly type: string) {}
}

export class EventTarget {
  #listeners: { type: string; listener: Listener; once: boolean }[] = [];

  /** @throws TypeError for an option that is not known here */
  addEventListener(type: string, listener: Listener, options: { once?: boolean } | boolean = {}): void {
    const { once = false, ...others } = typeof options === 'boolean' ? {} : options;
    const unknown = Object.keys(others)[0];
    if (unknown !== undefined) throw new TypeError(`addEventListener has no option "${unknown}" here`);
    if (this.#listeners.some((known) => known.type === type && known.listener === listener)) return;
    this.#listeners.push({ type, listener, once });
  }

  removeEventListener(type: string, listener: Listener): void {
    this.#listeners = this.#listeners.filter((known) => known.type !== type || known.listener !== listener);
  }

  /** Calls the listeners at once. What one of them throws is an unhandled rejection, and the others are called. */
  dispatchEvent(event: Event): boolean {
    event.target = this;
    for (const known of this.#listeners) {
      // A listener may have been removed by another one.
      if (known.type !== event.type || !this.#listeners.includes(known)) continue;
      if (known.once) this.removeEventListener(known.type, known.listener);
      try {
        if (typeof known.listener === 'function') known.listener.call(this, event);
        else known.listener.handleEvent(event);
      } catch (error) {
        void Promise.reject(error);
      }
    }
    return true;
  }
}

/** Codes of https://webidl.spec.whatwg.org/#idl-DOMException-error-names that are met here. */
const codes: Readonly<Record<string, number>> = { AbortError: 20, TimeoutError: 23, DataCloneError: 25 };

export class DOMException extends Error {
  readonly code: number;

  constructor(message = '', name = 'Error') {
    super(message);
    this.name = name;
    this.code = codes[name] ?? 0;
  }
}

export class AbortSignal extends EventTarget {
  aborted = false;
  reason: unknown;
  onabort: ((event: Event) => void) | null = null;

  /** A signal that is aborted already. */
  static abort(reason?: unknown): AbortSignal {
    const controller = new AbortController();
    controller.abort(reason);
    return controller.signal;
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
}

export class AbortController {
  readonly signal = new AbortSignal();

  abort(reason: unknown = new DOMException('This operation was aborted', 'AbortError')): void {
    const { signal } = this;
    if (signal.aborted) return;
    signal.aborted = true;
    signal.reason = reason;
    const event = new Event('abort');
    const { onabort } = signal;
    if (onabort !== null) signal.addEventListener('abort', onabort, { once: true });
    signal.dispatchEvent(event);
  }
}
