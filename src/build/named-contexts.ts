/** `build --build-context`: what the names stand for that FROM and --from may say beside those of stages and images. */
import { openContextFiles, type SourceFiles } from './source-files.ts';

export type NamedContext =
  /** For --from alone. */
  { kind: 'directory'; path: string } | { kind: 'image'; image: string };

/** By names in small letters. */
export type NamedContexts = ReadonlyMap<string, NamedContext>;

/** What a name stands for; undefined: a stage, or an image of that name. */
export function namedContext(contexts: NamedContexts, name: string): NamedContext | undefined {
  return contexts.get(name.toLowerCase());
}

/** The files of a directory, without those that its `.dockerignore` leaves out. The caller closes them. */
export function openNamedContext(name: string, path: string): SourceFiles {
  const look = (all: SourceFiles) => ({ ignore: all.readText('.dockerignore') });
  return openContextFiles(path, `"${name}"`, look).files;
}
