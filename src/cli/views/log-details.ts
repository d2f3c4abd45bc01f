/** `logs --details`: what --log-opt labels, env and tag name, in docker's form (its daemon's logger.Info and logger/loggerutils). */
import type { ContainerRecord } from '../../container/record.ts';
import { compileTemplate } from '../format/template.ts';

const missing = (field: string): string => `can't evaluate field ${field} in type *logger.Info`;

/** Throws for a template that does not parse, or asks for what there is not. */
export function checkLogTag(tag: string): void {
  compileTemplate(tag, missing, 'log-tag').apply(tagFields({ id: '', name: '', image: { id: '', reference: '' } }));
}

function tagFields({ id, name, image }: TagSource): Record<string, string> {
  const imageId = image.id.replace(/^sha256:/, '');
  return {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    ImageID: imageId.slice(0, 12),
    ImageFullID: imageId,
    ImageName: image.reference,
    DaemonName: 'tsrun',
  };
}

type TagSource = Pick<ContainerRecord, 'id' | 'name'> & { image: Pick<ContainerRecord['image'], 'id' | 'reference'> };

/** `E=x,a=1,tag=web`: names in their order, written as in the query of a URL. */
export function logDetails(record: ContainerRecord): string {
  const given = record.options.log.given ?? {};
  const details = new Map<string, string>();
  const take = (
    from: Iterable<readonly [string, string]>,
    names: string | undefined,
    regex: string | undefined,
  ): void => {
    const wanted = new Set(names?.split(',') ?? []);
    const pattern = regex === undefined ? undefined : new RegExp(regex, 'u');
    for (const [name, value] of from) if (wanted.has(name) || pattern?.test(name)) details.set(name, value);
  };
  take(Object.entries(record.labels), given.labels, given['labels-regex']);
  take(record.process.env.map(splitVariable), given.env, given['env-regex']);
  if (given.tag !== undefined)
    details.set('tag', compileTemplate(given.tag, missing, 'log-tag').apply(tagFields(record)));
  const pairs = [...details].sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.map(([name, value]) => `${escapeQuery(name)}=${escapeQuery(value)}`).join(',');
}

function splitVariable(entry: string): [string, string] {
  const equals = entry.indexOf('=');
  return [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** Go's url.QueryEscape. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
