/**
 * JSON whose whole numbers keep all 64 bits: OCI configurations compare system call arguments with values that a
 * JavaScript number would round. Beyond 2^53 such numbers are bigints.
 */

/** Marks an integer inside a string on its way through JSON.parse and JSON.stringify; no other string begins so. */
const MARK = '\u0000integer:';
const MARKED_IN_JSON = /"\\u0000integer:(-?\d+)"/g;
/** A string, which is skipped, or an integer that may be beyond 2^53. */
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|(?<![\w.+-])-?\d{16,}(?![\d.eE])/g;

/** JSON.parse; throws its SyntaxError. */
export function parseExactJson(text: string): unknown {
  const marked = text.replace(STRING_OR_LONG_INTEGER, (token) =>
    token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"\\u0000integer:${token}"`,
  );
  if (marked === text) return JSON.parse(text);
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

/** JSON.stringify, with bigints as numbers. */
export function stringifyExactJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, inner: unknown) => (typeof inner === 'bigint' ? `${MARK}${inner}` : inner),
    indent,
  ).replace(MARKED_IN_JSON, '$1');
}
