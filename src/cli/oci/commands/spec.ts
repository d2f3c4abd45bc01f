/** `spec`: a config.json to begin with. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchies } from '../../../cgroup/index.ts';
import { TsrunError } from '../../../error.ts';
import { defaultMounts, defaultShmSize, maskedPaths, readonlyPaths } from '../../../runtime/defaults.ts';
import { type LinuxNamespace, OCI_VERSION, type Spec } from '../../../runtime/spec.ts';
import type { OciCommand } from '../command.ts';

const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

function example(rootless: boolean): Spec {
  // On a hybrid host containers see where they are in the hierarchies of cgroup v1, as runc has it.
  const hybrid = findHierarchies().length > 0;
  const namespaces: LinuxNamespace[] = (['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'] as const)
    .filter((type) => !(rootless && type === 'network') && !(hybrid && type === 'cgroup'))
    .map((type) => ({ type }));
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'tsrun-oci',
    mounts: defaultMounts(defaultShmSize),
    linux: {
      ...(rootless
        ? {
            uidMappings: [{ containerID: 0, hostID: self.uid, size: 1 }],
            gidMappings: [{ containerID: 0, hostID: self.gid, size: 1 }],
          }
        : { resources: { devices: [{ allow: false, access: 'rwm' }] } }),
      namespaces: [...namespaces, ...(rootless ? [{ type: 'user' as const }] : [])],
      maskedPaths: [...maskedPaths],
      readonlyPaths: [...readonlyPaths],
    },
  };
}

export const spec: OciCommand = {
  usage: '[OPTIONS]',
  flags: [
    { name: 'bundle', short: 'b', type: 'string', description: 'Directory to write it to' },
    { name: 'rootless', type: 'bool', description: 'For a container that somebody without root starts' },
  ],
  args: { min: 0, max: 0 },
  run: async ({ flags }) => {
    const path = join(flags.string('bundle') || '.', 'config.json');
    if (existsSync(path)) {
      throw new TsrunError('CONFLICT', `File ${path} exists. Remove it first`);
    }
    writeFileSync(path, `${JSON.stringify(example(flags.boolean('rootless')), null, '\t')}\n`, { mode: 0o666 });
    return 0;
  },
};
