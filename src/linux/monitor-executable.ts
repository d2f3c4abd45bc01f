/** tsrun-monitor (native/) as a sealed memfd: nothing in a container can reach a file of the host through /proc/PID/exe. */
import { artifactBytes } from './artifacts.ts';
import { sealedMemfd } from './fs.ts';

let executable: number | undefined;

/** Its descriptor; kept for the life of this process. */
export function monitorExecutable(): number {
  executable ??= sealedMemfd('tsrun-monitor', artifactBytes('tsrun-monitor'), true);
  return executable;
}
