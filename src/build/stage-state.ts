/** What a stage has come to: layers, config, variables, history, clock. */

import type { StoredLayer } from '../image/catalogue.ts';
import type { HistoryEntry, ImageExecution } from '../image/config.ts';
import type { Digest } from '../image/digest.ts';
import { splitOnce } from '../image/instructions.ts';
import type { Platform } from '../image/platform.ts';

export interface StageState {
  /** Lowest first. */
  layers: StoredLayer[];
  execution: ImageExecution;
  history: HistoryEntry[];
  author: string;
  platform: Platform;
  /** Seconds since 1970 (clock.ts). */
  clock: number;
  /** Values of ARG, in their order. */
  args: Map<string, string>;
  /** The image that the stage is from; undefined for scratch. */
  base: { id: Digest; name: string } | undefined;
  /** Whether CMD stands in this Dockerfile: ENTRYPOINT takes an image's CMD away, not that. */
  ownCommand: boolean;
}

/** A stage that begins where another one ended. */
export function continueState(state: StageState): StageState {
  return {
    ...state,
    layers: [...state.layers],
    execution: structuredClone(state.execution),
    history: [...state.history],
    args: new Map(state.args),
    ownCommand: false,
  };
}

/** The chain id of what the stage has so far; empty for nothing. */
export function topOf({ layers }: StageState): string {
  return layers.at(-1)?.chainId ?? '';
}

/** Variables that instructions may use: ENV counts for more than ARG. */
export function variablesOf({ args, execution }: Pick<StageState, 'args' | 'execution'>): Map<string, string> {
  return new Map([...args, ...execution.env.map(splitOnce)]);
}
