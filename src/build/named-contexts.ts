/** `build --build-context`: what the names stand for that FROM and --from may say beside those of stages and images. */
import { IgnorePatterns } from './ignore.ts';
import { SourceFiles } from './source-files.ts';

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
  const all = new SourceFiles([path], `"${name}"`, { isContext: true });
  let ignore: string | undefined;
  try {
    ignore = all.readText('.dockerignore');
  } finally {
    all.close();
  }
  return new SourceFiles([path], `"${name}"`, {
    isContext: true,
    ...(ignore === undefined ? {} : { ignore: IgnorePatterns.parse(ignore) }),
  });
}
