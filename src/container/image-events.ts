/** Events of images, with docker's attributes: what it is called, and its labels. */
import type { Digest } from '../image/digest.ts';
import { familiarName, familiarRepository, parseReference, type Reference } from '../image/reference.ts';
import type { ImageStore, StoredImage } from '../image/store.ts';
import { recordEvent } from './events.ts';

/** The labels of an image that may be gone or damaged. */
export function labelsOf(images: ImageStore, id: string): Record<string, string> {
  try {
    return { ...images.resolve(id)?.config.execution.labels };
  } catch {
    return {};
  }
}

/** Appends an event. `name` is what docker calls the image there; `id` is what the event is about. */
export function recordImageEvent(
  root: string,
  action: 'pull' | 'tag' | 'untag' | 'delete' | 'import' | 'load' | 'save' | 'push' | 'prune',
  id: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): void {
  recordEvent(root, { type: 'image', action, id, attributes: { ...labels, name } });
}

/** `tag`: the image got this name. */
export function recordTag(root: string, image: StoredImage, reference: Reference): void {
  recordImageEvent(root, 'tag', image.id, familiarName(reference), image.config.execution.labels);
}

/** `pull`: docker's event is about the name, not the image. */
export function recordPull(root: string, image: StoredImage, reference: Reference): void {
  const { labels } = image.config.execution;
  recordImageEvent(root, 'pull', familiarName(reference), familiarRepository(reference), labels);
}

/** `push`, likewise. */
export function recordPush(root: string, image: StoredImage, reference: Reference): void {
  const { labels } = image.config.execution;
  recordImageEvent(root, 'push', familiarName(reference), familiarRepository(reference), labels);
}

/** What names that moved to another image meant before: docker reports nothing for these; `load` names them. */
export function renamed(before: ReadonlyMap<string, Digest | undefined>, id: Digest): { name: string; old: Digest }[] {
  return [...before].flatMap(([name, old]) =>
    old === undefined || old === id ? [] : [{ name: familiarName(parseReference(name)), old }],
  );
}
