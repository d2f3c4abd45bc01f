/** Flags of the commands that talk to registries. */
import { checkCertificateDirectory } from '../../image/trust.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';

/** podman's and skopeo's; docker knows certs.d only. */
export const certificatesFlag: Flag = {
  name: 'cert-dir',
  type: 'string',
  description: 'Directory with the certificates for the registry, instead of certs.d',
};

/** Throws `USAGE` for a directory that is not there. */
export function certificatesOf(flags: ParsedFlags): string | undefined {
  const path = flags.string('cert-dir');
  return path === undefined || path === '' ? undefined : checkCertificateDirectory(path);
}
