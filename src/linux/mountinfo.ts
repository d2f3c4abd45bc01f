/** /proc/PID/mountinfo (man 5 proc_pid_mountinfo): the mounts that a process sees, in the order in which they were made. */

export interface MountinfoEntry {
  id: number;
  /** What of its filesystem is mounted. */
  root: string;
  mountPoint: string;
  /** Of the mount: `ro`, `nosuid`, … */
  options: string[];
  type: string;
  source: string;
  /** Of the filesystem: of cgroup v1 the controllers. */
  superOptions: string[];
}

/** Blanks and backslashes in paths are three octal digits. */
function plain(word = ''): string {
  return word.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Lines that are none are passed over. */
export function parseMountinfo(text: string): MountinfoEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    if (after === undefined) return [];
    const [id, , , root, mountPoint, options = ''] = before.split(' ');
    const [type = '', source, superOptions = ''] = after.split(' ');
    return [
      {
        id: Number(id),
        root: plain(root),
        mountPoint: plain(mountPoint),
        options: options.split(','),
        type,
        source: plain(source),
        superOptions: superOptions.split(','),
      },
    ];
  });
}

/** The mount that a path lies in: the longest that it is below, the last where one hides another. */
export function mountHolding(mounts: readonly MountinfoEntry[], path: string): MountinfoEntry | undefined {
  let found: MountinfoEntry | undefined;
  for (const mount of mounts) {
    const { mountPoint } = mount;
    const holds = path === mountPoint || path.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`);
    if (holds && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = mount;
  }
  return found;
}
