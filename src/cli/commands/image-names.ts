/** What the images of containers are called now, and how large they are; the catalogue is read once, when it is needed. */
import type { Container } from '../../container/record.ts';
import { formatReference, parseReference } from '../../image/reference.ts';
import type { ImageStore, StoredImage } from '../../image/store.ts';

export class ImageNames {
  readonly #store: ImageStore;
  #images: Map<string, StoredImage> | undefined;
  readonly #names = new Map<string, string>();

  constructor(store: ImageStore) {
    this.#store = store;
  }

  #byId(): Map<string, StoredImage> {
    this.#images ??= new Map(this.#store.list().map((image) => [image.id, image]));
    return this.#images;
  }

  /** As the user named it, as long as that still means the same image; else its short id, as docker shows it. */
  nameOf({ record }: Container): string {
    const { reference, id } = record.image;
    const key = `${id} ${reference}`;
    const known = this.#names.get(key) ?? this.#findName(reference, id);
    this.#names.set(key, known);
    return known;
  }

  #findName(reference: string, id: string): string {
    const hex = id.replace(/^sha256:/, '');
    if (/^[0-9a-f]+$/.test(reference) && hex.startsWith(reference)) return reference;
    try {
      const { tag, ...rest } = parseReference(reference);
      const name = formatReference(rest.digest === undefined && tag !== undefined ? { ...rest, tag } : rest);
      const image = this.#byId().get(id);
      if (image !== undefined && (image.references.includes(name) || image.repoDigests.includes(name))) {
        return reference;
      }
    } catch {
      // not a name: an id in full
      if (reference === id) return reference;
    }
    return hex.slice(0, 12);
  }

  /** Bytes of the layers; 0 for an image that is gone. */
  sizeOf({ record }: Container): number {
    return this.#byId().get(record.image.id)?.size ?? 0;
  }
}
