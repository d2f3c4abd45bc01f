/** The version of this tsrun, put in by scripts/build.mjs. */

declare const TSRUN_VERSION: string | undefined;

export const programVersion: string = typeof TSRUN_VERSION === 'string' ? TSRUN_VERSION : '0.0.0-source';
