/** The form of the catalogues' rows. */

/** English, Russian. `{1}`, `{2}` stand for what changes from one step to the next, in both. */
export type Entry = readonly [english: string, russian: string];
