/** Labels as filters ask for them. */

/** Whether labels fit all of `key` and `key=value`. */
export function matchesLabels(labels: Readonly<Record<string, string>>, wanted: readonly string[]): boolean {
  return wanted.every((text) => {
    const equals = text.indexOf('=');
    const key = equals === -1 ? text : text.slice(0, equals);
    return Object.hasOwn(labels, key) && (equals === -1 || labels[key] === text.slice(equals + 1));
  });
}
