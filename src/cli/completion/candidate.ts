/** What a shell is offered. */

export interface Candidate {
  value: string;
  description?: string;
}

export interface Completion {
  candidates: Candidate[];
  /** The shell's own files are candidates too. */
  files?: 'files' | 'directories';
  /** More is to be typed behind the value: `--filter name=`. */
  open?: boolean;
}

export const nothing: Completion = { candidates: [] };

/** Values without descriptions. */
export function values(list: Iterable<string>, more: Omit<Completion, 'candidates'> = {}): Completion {
  return { candidates: [...list].map((value) => ({ value })), ...more };
}
