/** `features` (OCI runtime-spec features.md): what this runtime can do, for callers that want to know before they ask. */
import { capabilityNames } from '../../../linux/capabilities.ts';
import { OCI_VERSION } from '../../../runtime/spec.ts';
import { print } from '../../output.ts';
import { programVersion } from '../../program-version.ts';
import type { OciCommand } from '../command.ts';

// biome-ignore format: a table
const mountOptions = [
  'async', 'atime', 'bind', 'defaults', 'dev', 'diratime', 'dirsync', 'exec', 'idmap', 'lazytime', 'noatime', 'nodev',
  'nodiratime', 'noexec', 'norelatime', 'nostrictatime', 'nosuid', 'nosymfollow', 'private', 'ratime', 'rbind', 'rdev',
  'rdiratime', 'relatime', 'rexec', 'ridmap', 'rnoatime', 'rnodev', 'rnodiratime', 'rnoexec', 'rnosuid', 'rnosymfollow',
  'ro', 'rprivate', 'rrelatime', 'rro', 'rrw', 'rshared', 'rslave', 'rstrictatime', 'rsuid', 'rsymfollow',
  'runbindable', 'rw', 'shared', 'silent', 'slave', 'strictatime', 'suid', 'symfollow', 'sync', 'tmpcopyup', 'unbindable',
];

export const features: OciCommand = {
  usage: '',
  flags: [],
  args: { min: 0, max: 0 },
  run: async () => {
    const document = {
      ociVersionMin: '1.0.0',
      ociVersionMax: OCI_VERSION,
      hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
      mountOptions,
      linux: {
        namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'time', 'user', 'uts'],
        capabilities: capabilityNames,
        cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: true },
        seccomp: {
          enabled: true,
          actions: [
            'SCMP_ACT_ALLOW',
            'SCMP_ACT_ERRNO',
            'SCMP_ACT_KILL',
            'SCMP_ACT_KILL_PROCESS',
            'SCMP_ACT_KILL_THREAD',
            'SCMP_ACT_LOG',
            'SCMP_ACT_NOTIFY',
            'SCMP_ACT_TRACE',
            'SCMP_ACT_TRAP',
          ],
          operators: [
            'SCMP_CMP_EQ',
            'SCMP_CMP_GE',
            'SCMP_CMP_GT',
            'SCMP_CMP_LE',
            'SCMP_CMP_LT',
            'SCMP_CMP_MASKED_EQ',
            'SCMP_CMP_NE',
          ],
          archs: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM', 'SCMP_ARCH_X86', 'SCMP_ARCH_X86_64'],
          knownFlags: [
            'SECCOMP_FILTER_FLAG_LOG',
            'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
            'SECCOMP_FILTER_FLAG_TSYNC',
            'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
          ],
          supportedFlags: [
            'SECCOMP_FILTER_FLAG_LOG',
            'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
            'SECCOMP_FILTER_FLAG_TSYNC',
            'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
          ],
        },
        apparmor: { enabled: true },
        selinux: { enabled: true },
        intelRdt: { enabled: false },
        mountExtensions: { idmap: { enabled: true } },
      },
      annotations: { 'dev.tsrun.version': programVersion },
    };
    print(`${JSON.stringify(document, null, 2)}\n`);
    return 0;
  },
};
