/** Begins what a stage will need from others at once, so that stages that do not depend on each other run at the same time. */
import type { Stage } from './stages.ts';
import { type BuildWorld, readySource } from './world.ts';

/** What fails is told where it is needed. */
export function prefetchSources(world: BuildWorld, stage: Stage): void {
  for (const from of new Set(stage.instructions.flatMap(({ flags }) => flags.flatMap(fromOf)))) {
    // The instruction that has it is shown with the error.
    readySource(world, stage, from).catch(() => {});
  }
}

/** What a flag of COPY or RUN reads from. */
function fromOf(flag: string): string[] {
  const copied = /^--from=(.+)$/s.exec(flag)?.[1];
  if (copied !== undefined) return [copied];
  const mounted = /^--mount=(?:.*,)?from=([^,]+)/s.exec(flag)?.[1];
  return mounted === undefined ? [] : [mounted];
}
