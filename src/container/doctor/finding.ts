/** What a check has found out. A check changes nothing, and says so when it could not look. */
import { codeOf, messageOf } from '../../error.ts';

export type Verdict =
  | 'ok'
  | 'warning' // something does not work, or not as people expect
  | 'problem' // containers cannot be made, or data is at stake
  | 'unknown'; // could not be looked at

export interface Finding {
  /** `kernel`, `cgroups`, `network`, `storage`, `limits`, `leftovers`, `clock`. */
  area: string;
  /** What was looked at: `overlayfs`. */
  name: string;
  verdict: Verdict;
  /** What is there. */
  detail: string;
  /** What it means for containers, where all is not well. */
  meaning?: string;
  /** A command, or a sentence that says what to do. */
  remedy?: string;
}

/** All checks of one area. */
export interface Check {
  area: string;
  run(): Omit<Finding, 'area'>[];
}

/** Runs a check; one that fails itself has found out that it cannot look. */
export function findings(check: Check): Finding[] {
  try {
    return check.run().map((finding) => ({ area: check.area, ...finding }));
  } catch (error) {
    return [{ area: check.area, ...unknown(check.area, error) }];
  }
}

/** A finding for what could not be looked at, and whether root could. */
export function unknown(name: string, reason: unknown): Omit<Finding, 'area'> {
  const denied = ['EACCES', 'EPERM'].includes(codeOf(reason) ?? '') || process.geteuid?.() !== 0;
  return {
    name,
    verdict: 'unknown',
    detail: typeof reason === 'string' ? reason : messageOf(reason),
    ...(denied ? { remedy: 'sudo tsrun doctor' } : {}),
  };
}
