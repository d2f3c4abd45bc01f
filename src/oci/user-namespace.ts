/** User namespaces that only carry a mapping, for idmapped mounts (man 2 mount_setattr). */
import { TsrunError } from '../error.ts';
import { compileHolder } from '../runtime/compile/holder.ts';
import type { IdMapping, Mount, Spec } from '../runtime/spec.ts';
import { writeMappings } from '../runtime/user-namespace.ts';
import { failureOf, Machine } from './machine.ts';

/** User namespaces with the mappings of mounts. They last until `close`. */
export class MappingHolders {
  readonly #machines: Machine[] = [];
  readonly #paths = new Map<string, string>();

  /** By mount: the path of a user namespace with its mapping. */
  forMounts(spec: Spec): Map<Mount, string> {
    const found = new Map<Mount, string>();
    for (const mount of spec.mounts ?? []) {
      const path = this.#pathFor(mount, spec);
      if (path !== undefined) found.set(mount, path);
    }
    return found;
  }

  #pathFor(mount: Mount, { linux }: Spec): string | undefined {
    const asked = (mount.options ?? []).some((word) => word === 'idmap' || word === 'ridmap');
    const own = mount.uidMappings !== undefined || mount.gidMappings !== undefined;
    if (!asked && !own) return undefined;
    const [uids = [], gids = []] = own
      ? [mount.uidMappings, mount.gidMappings]
      : [linux?.uidMappings, linux?.gidMappings];
    if (uids.length === 0 || gids.length === 0) {
      const joined = own ? undefined : linux?.namespaces?.find(({ type }) => type === 'user')?.path;
      if (joined !== undefined) return joined;
      throw new TsrunError(
        'USAGE',
        `mount of ${mount.destination}: an idmapped mount needs uidMappings and gidMappings`,
      );
    }
    const key = JSON.stringify([uids, gids]);
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = this.#make(uids, gids);
      this.#paths.set(key, path);
    }
    return path;
  }

  #make(uids: readonly IdMapping[], gids: readonly IdMapping[]): string {
    const program = compileHolder();
    const machine = new Machine(program, { preserved: 0 });
    this.#machines.push(machine);
    const message = machine.next();
    if (message.kind === 'failed') throw failureOf(program, message.operation, message.errno, []);
    if (message.kind !== 'created') throw new TsrunError('PROGRAM', 'the holder of a user namespace has ended');
    writeMappings(message.pid, uids, gids);
    return `/proc/${message.pid}/ns/user`;
  }

  close(): void {
    for (const machine of this.#machines) machine.close();
  }
}
