/** The engine that needs the modules of this directory: in all others nothing imports them. */
import type { SmallEngine } from '../linux/small-engine.ts';

declare const tsrunEngine: SmallEngine;

export const engine = tsrunEngine;
