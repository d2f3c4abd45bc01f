/** The two directories that hold all state of tsrun (docs/architecture.md, "On disk"). */
import { join, resolve } from 'node:path';

/** What must survive a reboot: images, layers, containers. `TSRUN_ROOT`, by default /var/lib/tsrun. */
export function rootDirectory(): string {
  return resolve(process.env.TSRUN_ROOT || '/var/lib/tsrun');
}

/** What a reboot may lose: pids, sockets, locks. `TSRUN_STATE`, by default /run/tsrun. */
export function stateDirectory(): string {
  return resolve(process.env.TSRUN_STATE || '/run/tsrun');
}

/**
 * Where settings are read from, the system's first: /etc/tsrun/config.json, then the user's
 * `$XDG_CONFIG_HOME/tsrun/config.json` (XDG base directory specification; by default ~/.config).
 */
export function configPaths(): string[] {
  const home = process.env.HOME;
  const userConfig = process.env.XDG_CONFIG_HOME || (home ? join(home, '.config') : undefined);
  const paths = ['/etc/tsrun/config.json'];
  if (userConfig !== undefined) paths.push(resolve(userConfig, 'tsrun/config.json'));
  return paths;
}
