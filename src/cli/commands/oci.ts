/** `oci`: the command line of tsrun-oci under another name (src/cli/oci). src/cli/dispatch.ts hands it on as it is. */
import type { Command } from '../command.ts';

export const oci: Command = {
  usage: '[OPTIONS] COMMAND',
  description: 'Be an OCI runtime, for containerd, dockerd, podman and their like: the command line of tsrun-oci',
  flags: [],
  args: { min: 0 },
  flagsFirst: true,
  run: async ({ args }) => (await import('../oci/main.ts')).main(args),
};
