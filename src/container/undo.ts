/** A stack of undos: whatever a start did, taken back when it fails. */

/** Undoes what was done, last first, when a start fails; each undo is tried even when another failed. */
export class Undo {
  private readonly actions: (() => void)[] = [];

  add(action: () => void): void {
    this.actions.push(action);
  }

  /** Returns whether all of it succeeded. The caller leaves a mark for the sweep where it did not. */
  run(): boolean {
    let complete = true;
    for (const action of this.actions.reverse()) {
      try {
        action();
      } catch {
        // The error that brought us here is the one to be told.
        complete = false;
      }
    }
    return complete;
  }
}
