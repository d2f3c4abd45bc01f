/** The commands of networks and volumes; a part of the table in commands.ts. */
import type { CommandEntry } from './command.ts';

export const networkCommands: readonly CommandEntry[] = [
  {
    names: ['network connect'],
    summary: 'Connect a container to a network',
    load: async () => (await import('./commands/network-connect.ts')).networkConnect,
  },
  {
    names: ['network create'],
    summary: 'Create a network',
    load: async () => (await import('./commands/network-create.ts')).networkCreate,
  },
  {
    names: ['network disconnect'],
    summary: 'Take a container from a network',
    load: async () => (await import('./commands/network-connect.ts')).networkDisconnect,
  },
  {
    names: ['network inspect'],
    summary: 'Show everything about networks',
    load: async () => (await import('./commands/inspect.ts')).networkInspect,
  },
  {
    names: ['network ls', 'network list'],
    summary: 'List networks',
    load: async () => (await import('./commands/network-ls.ts')).networkLs,
  },
  {
    names: ['network prune'],
    summary: 'Remove networks that no container is on',
    load: async () => (await import('./commands/prune.ts')).networkPrune,
  },
  {
    names: ['network rm', 'network remove'],
    summary: 'Remove networks',
    load: async () => (await import('./commands/network-rm.ts')).networkRm,
  },
  {
    names: ['volume create'],
    summary: 'Create a volume',
    load: async () => (await import('./commands/volume-create.ts')).volumeCreate,
  },
  {
    names: ['volume inspect'],
    summary: 'Show everything about volumes',
    load: async () => (await import('./commands/inspect.ts')).volumeInspect,
  },
  {
    names: ['volume ls', 'volume list'],
    summary: 'List volumes',
    load: async () => (await import('./commands/volume-ls.ts')).volumeLs,
  },
  {
    names: ['volume prune'],
    summary: 'Remove all volumes that no container has',
    load: async () => (await import('./commands/prune.ts')).volumePrune,
  },
  {
    names: ['volume rm', 'volume remove'],
    summary: 'Remove volumes',
    load: async () => (await import('./commands/volume-rm.ts')).volumeRm,
  },
];
