/** Dockerfiles belong here as soon as there is a parser of them: it gets any text, and refuses it with an error that has a code. */
import type { Target } from './target.ts';

export const dockerfileTargets: readonly Target[] = [];
