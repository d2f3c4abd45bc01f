/** The environment of a container's processes: the image's, the container's, an exec's. */

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `NAME=value` lists, the later winning; PATH is always there. A name without `=` takes the name away, as docker does. */
export function mergeEnvironment(base: readonly string[], user: readonly string[]): string[] {
  const merged = new Map<string, string>([['PATH', defaultPath]]);
  for (const entry of [...base, ...user]) {
    const name = entry.split('=', 1)[0] ?? '';
    if (entry.includes('=')) merged.set(name, entry);
    else merged.delete(name);
  }
  return [...merged.values()];
}
