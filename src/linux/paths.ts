/** The two directories that hold all state of tsrun (docs/architecture.md, "On disk"). */
import { resolve } from 'node:path';

/** What must survive a reboot: images, layers, containers. `TSRUN_ROOT`, by default /var/lib/tsrun. */
export function rootDirectory(): string {
  return resolve(process.env.TSRUN_ROOT || '/var/lib/tsrun');
}

/** What a reboot may lose: pids, sockets, locks. `TSRUN_STATE`, by default /run/tsrun. */
export function stateDirectory(): string {
  return resolve(process.env.TSRUN_STATE || '/run/tsrun');
}
