/** `images --filter` and `images PATTERN`: docker's filters. */
import { matchesLabels } from '../../container/labels.ts';
import { TsrunError } from '../../error.ts';
import { familiarName, familiarRepository, hasTagOrDigest, parseReference } from '../../image/reference.ts';
import type { StoredImage } from '../../image/store.ts';
import { parseBoolean } from '../flag.ts';
import { parseMoment } from '../units.ts';
import { parseFilters } from './container-filter.ts';
import type { ImageName } from './image-row.ts';

/** The filters of `images`. */
export const imageFilters: ReadonlySet<string> = new Set([
  'dangling',
  'label',
  'before',
  'since',
  'reference',
  'until',
]);

/** Go's path.Match: `*` and `?` stop at slashes, `[a-z]`, `\` before what shall have no meaning. */
export function globPattern(glob: string): RegExp {
  let source = '';
  for (let at = 0; at < glob.length; at++) {
    const character = glob[at] ?? '';
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '\\') source += literal(glob[++at] ?? '\\');
    else if (character === '[') {
      const end = glob.indexOf(']', at + 2);
      if (end === -1) throw new TsrunError('USAGE', `syntax error in pattern ${JSON.stringify(glob)}`);
      source += `[${glob.slice(at + 1, end).replaceAll('[', '\\[')}]`;
      at = end;
    } else source += literal(character);
  }
  return new RegExp(`^${source}$`);
}

function literal(character: string): string {
  return character.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/** A name of an image that the reference filters let pass. */
export interface ImageFilter {
  matches: (image: StoredImage) => boolean;
  /** Which of its names are shown. */
  matchesName: (name: ImageName) => boolean;
}

/** Compiles the values of --filter, and the argument of `images`. Throws `USAGE`, `NOT_FOUND`. */
export function compileImageFilter(texts: readonly string[], find: (text: string) => StoredImage): ImageFilter {
  const filters = parseFilters(texts, imageFilters);
  const tests = [...filters].map(([name, values]) => compileOne(name, values, find));
  const patterns = (filters.get('reference') ?? []).map(referencePatterns);
  const matchesName = ({ repository, tag, digest }: ImageName): boolean => {
    if (patterns.length === 0) return true;
    const texts = [repository, `${repository}:${tag}`, `${repository}@${digest}`];
    return patterns.some((pattern) => texts.some((text) => pattern.test(text)));
  };
  return { matches: (image) => tests.every((test) => test(image)), matchesName };
}

/** A pattern without wildcards may be written in full: docker.io/library/debian. */
function referencePatterns(value: string): RegExp {
  if (!/[*?[\\]/.test(value)) {
    try {
      const reference = parseReference(value);
      const familiar = familiarName(reference);
      const tagGiven = hasTagOrDigest(value);
      return globPattern(tagGiven ? familiar : familiarRepository(reference));
    } catch {
      // no reference: as it was typed
    }
  }
  return globPattern(value);
}

type Test = (image: StoredImage) => boolean;

function compileOne(name: string, values: readonly string[], find: (text: string) => StoredImage): Test {
  if (name === 'dangling') {
    const [value = ''] = values;
    let wanted: boolean;
    try {
      wanted = parseBoolean(value);
    } catch {
      throw new TsrunError('USAGE', `Invalid filter 'dangling=[${values.join(' ')}]'`);
    }
    return (image) => (image.references.length === 0 && image.repoDigests.length === 0) === wanted;
  }
  if (name === 'label') return (image) => matchesLabels(image.config.execution.labels, values);
  if (name === 'until') {
    const limits = values.map((value) => Date.parse(parseMoment(value) ?? ''));
    if (limits.some(Number.isNaN)) throw new TsrunError('USAGE', `invalid filter 'until=${values.join(' ')}'`);
    return (image) => limits.every((limit) => Date.parse(image.created) < limit);
  }
  if (name === 'before' || name === 'since') {
    const times = values.map((value) => Date.parse(find(value).created));
    return (image) => {
      const time = Date.parse(image.created);
      return times.every((other) => (name === 'before' ? time < other : time > other));
    };
  }
  return () => true;
}
