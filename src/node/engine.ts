/** The engine that needs the modules of this directory: in all others nothing imports them. */
import { type SmallEngine, smallEngine } from '../linux/small-engine.ts';

export const engine = smallEngine as SmallEngine;
