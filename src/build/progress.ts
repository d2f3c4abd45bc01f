/** What a build tells while it works: steps that begin, print and end. Who shows them is not known here. */

export interface StepProgress {
  /** What the step's command prints. */
  output(bytes: Uint8Array): void;
  done(result: 'done' | 'cached'): void;
  /** What it failed with; `INTERRUPTED` where it was another one's failure, or somebody's wish. */
  failed(error: unknown): void;
}

export interface BuildProgress {
  /** A step begins: `[builder 2/5] RUN make`. */
  begin(title: string): StepProgress;
  /** Something that is to be known. */
  warn(text: string): void;
}

/** Runs a step that has no cache. */
export async function withStep<T>(
  progress: BuildProgress,
  title: string,
  run: (step: StepProgress) => Promise<T> | T,
): Promise<T> {
  const step = progress.begin(title);
  try {
    const result = await run(step);
    step.done('done');
    return result;
  } catch (error) {
    step.failed(error);
    throw error;
  }
}
