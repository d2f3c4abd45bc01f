/** `tsrun version`. */
import { release } from 'node:os';
import type { Command } from '../command.ts';
import { type Struct, stringMap } from '../format/value.ts';
import { print } from '../output.ts';
import { programVersion } from '../program-version.ts';
import { printFormatted } from './print-format.ts';

/** Go's name of this machine's architecture. */
export function goArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

/** The API whose documents `inspect` has. */
const apiVersion = '1.41';

export const version: Command = {
  usage: '[OPTIONS]',
  description: 'Show versions',
  flags: [{ name: 'format', short: 'f', type: 'string', description: "'json', or a Go template" }],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const format = flags.string('format');
    if (format) printFormatted(document(), format, 'version');
    else print(text());
    return 0;
  },
};

function text(): string {
  const rows: [string, string][] = [
    ['Version:', programVersion],
    process.versions.bun === undefined ? ['Node.js version:', process.version] : ['Bun version:', process.versions.bun],
    ['OS/Arch:', `linux/${goArchitecture()}`],
    ['Kernel version:', release()],
  ];
  return `tsrun:\n${rows.map(([title, value]) => ` ${title.padEnd(18)}${value}\n`).join('')}`;
}

/** There is no server; scripts ask for its version all the same, and it is this one. */
function document(): Struct {
  const common = {
    Version: programVersion,
    ApiVersion: apiVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: goArchitecture(),
    BuildTime: '',
  };
  const engine = {
    ApiVersion: apiVersion,
    Arch: goArchitecture(),
    BuildTime: '',
    Experimental: 'false',
    GitCommit: '',
    GoVersion: '',
    KernelVersion: release(),
    MinAPIVersion: apiVersion,
    Os: 'linux',
  };
  return {
    Client: {
      Platform: { Name: 'tsrun' },
      ...common,
      DefaultAPIVersion: apiVersion,
      Context: 'default',
      Experimental: false,
    },
    Server: {
      Platform: { Name: 'tsrun' },
      Components: [{ Name: 'Engine', Version: programVersion, Details: stringMap(engine) }],
      ...common,
      MinAPIVersion: apiVersion,
      KernelVersion: release(),
      Experimental: false,
    },
  };
}
