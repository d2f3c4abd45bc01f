/** What every module takes for granted where Node or Bun run it. To be imported before all others. */
import './language.ts';
import { POLLIN } from '../linux/constants.ts';
import { AbortController, AbortSignal, DOMException, Event, EventTarget } from './abort.ts';
import { Buffer } from './buffer.ts';
import { spawnSync } from './child-process.ts';
import { engine } from './engine.ts';
import { watchBy } from './fs-watch.ts';
import { hashOf } from './hash.ts';
import { begin, clearTimer, now, setImmediate, setInterval, setTimeout, watch } from './loop.ts';
import * as os from './os.ts';
import { beginProcess, builtinModules, process } from './process.ts';
import { structuredClone } from './structured-clone.ts';
import { TextDecoder, TextEncoder } from './text.ts';

Object.assign(globalThis, {
  AbortController,
  AbortSignal,
  Buffer,
  DOMException,
  Event,
  EventTarget,
  TextDecoder,
  TextEncoder,
  clearImmediate: () => {},
  clearInterval: clearTimer,
  clearTimeout: clearTimer,
  performance: { now },
  process,
  setImmediate,
  setInterval,
  setTimeout,
  structuredClone,
});
Object.assign(builtinModules, {
  'node:child_process': { spawnSync },
  'node:crypto': { createHash: hashOf },
  'node:os': os,
});
begin();
watchBy((fd, ready) => {
  const descriptor = watch(fd, POLLIN, ready);
  return () => descriptor.end();
});

export { beginProcess, engine };
