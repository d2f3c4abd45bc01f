/** The release of the running kernel (man 2 uname), for what it has no call or flag to ask for. */
import { uname } from './uname.ts';

/** `[major, minor]` of a text that begins as `6.1`; undefined for another. */
export function parseRelease(text: string): [number, number] | undefined {
  const match = /^(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** Whether a kernel, the running one unless told, is at least `major.minor`. */
export function kernelAtLeast(major: number, minor: number, kernel = uname().release): boolean {
  const [ownMajor, ownMinor] = parseRelease(kernel) ?? [0, 0];
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/**
 * Whether overlayfs takes its layers one by one, `lowerdir+` of fsconfig. Mainline has that since 6.7; not every 6.7 has its
 * repair. Before 6.5 overlayfs takes any name of a parameter and refuses the whole at its end, so that trying tells nothing.
 */
export function appendsLayers(): boolean {
  return kernelAtLeast(6, 8);
}
