/** The commands that give something to registries; a part of the table in commands.ts. */
import type { CommandEntry } from './command.ts';

export const registryCommands: readonly CommandEntry[] = [
  {
    names: ['login'],
    summary: 'Log in to a registry',
    load: async () => (await import('./commands/login.ts')).login,
  },
  {
    names: ['logout'],
    summary: 'Log out from a registry',
    load: async () => (await import('./commands/login.ts')).logout,
  },
  {
    names: ['manifest annotate'],
    summary: 'Say what a manifest of a list is for',
    load: async () => (await import('./commands/manifest.ts')).manifestAnnotate,
  },
  {
    names: ['manifest create'],
    summary: 'Put manifests of a registry together to a list',
    load: async () => (await import('./commands/manifest.ts')).manifestCreate,
  },
  {
    names: ['manifest inspect'],
    summary: 'Show a manifest, or a manifest list',
    load: async () => (await import('./commands/manifest.ts')).manifestInspect,
  },
  {
    names: ['manifest push'],
    summary: 'Push a manifest list to its registry',
    load: async () => (await import('./commands/manifest.ts')).manifestPush,
  },
  {
    names: ['manifest rm'],
    summary: 'Remove manifest lists that were made here',
    load: async () => (await import('./commands/manifest.ts')).manifestRm,
  },
  {
    names: ['push', 'image push'],
    summary: 'Upload an image to a registry',
    load: async () => (await import('./commands/push.ts')).push,
  },
];
