/** `createRequire` of `node:module`: what is loaded by it is the large engine's. */
import { engine } from './engine.ts';

export const createRequire = (): (() => never) => () => engine.handOver();
