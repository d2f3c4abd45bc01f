/** Maps of user namespaces (man 7 user_namespaces), and namespaces that only carry one for idmapped mounts. */
import { writeFileSync } from 'node:fs';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { compileHolder } from '../runtime/compile/holder.ts';
import type { IdMapping, Mount, Spec } from '../runtime/spec.ts';
import { step } from '../trace.ts';
import { failureOf, Machine } from './machine.ts';

/** Writes the maps of the user namespace that `pid` is in. Throws `PERMISSION`, `USAGE`. */
export function writeMappings(pid: number, uids: readonly IdMapping[], gids: readonly IdMapping[]): void {
  write(`/proc/${pid}/uid_map`, uids);
  write(`/proc/${pid}/gid_map`, gids);
}

function write(path: string, mappings: readonly IdMapping[]): void {
  const text = mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
  const info = {
    phase: 'namespaces' as const,
    title: `map ${text.trim().replaceAll('\n', ', ')}`,
    why: 'who is who in the user namespace: inside, outside, how many',
    shell: `printf '${text.replaceAll('\n', '\\n')}' >${path}`,
  };
  step(info, () => {
    try {
      // One write(2): the kernel takes no second one.
      writeFileSync(path, text, { flag: 'r+' });
    } catch (cause) {
      throw new TsrunError(
        codeOf(cause) === 'EPERM' ? 'PERMISSION' : 'USAGE',
        `cannot map ${text.trim().replaceAll('\n', ', ')}: ${messageOf(cause)}`,
        {
          cause,
          hint: codeOf(cause) === 'EPERM' ? 'mappings of more than the own user need root' : 'ranges must not overlap',
        },
      );
    }
  });
}

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
