/** `tsrun inspect`: everything about containers, images and volumes, as JSON or through a template. */
import { join } from 'node:path';
import { readPressure } from '../../cgroup/stats.ts';
import { directorySize } from '../../container/directory-size.ts';
import { liveExecs } from '../../container/exec-directory.ts';
import type { LinkOption } from '../../container/run-options.ts';
import { ContainerStore } from '../../container/store.ts';
import { VolumeStore } from '../../container/volumes/store.ts';
import { TsrunError } from '../../error.ts';
import { parseOrigin } from '../../image/config-origin.ts';
import { ImageStore } from '../../image/store.ts';
import { leaveToLargeEngine } from '../../linux/small-engine.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command, Invocation } from '../command.ts';
import type { Flag } from '../flag.ts';
import { compileTemplate, TemplateError } from '../format/template.ts';
import { type Struct, toJson } from '../format/value.ts';
import { checkPlatform, platformFlag } from '../options/platform.ts';
import { report } from '../report.ts';
import { printForeign } from '../terminal.ts';
import { containerDocument } from '../views/container-inspect.ts';
import { imageDocument } from '../views/image-inspect.ts';
import { volumeDocument } from '../views/volume-row.ts';

type Kind = 'container' | 'image' | 'network' | 'volume';

/** In docker's order of looking for a name. */
const allKinds: readonly Kind[] = ['container', 'image', 'network', 'volume'];

const formatFlag: Flag = { name: 'format', short: 'f', type: 'string', description: "'json', or a Go template" };
const sizeFlag: Flag = { name: 'size', short: 's', type: 'bool', description: "Also a container's sizes" };
const typeFlag: Flag = {
  name: 'type',
  type: 'string',
  description: 'Only objects of this type (container|image|network|volume)',
};

/** Docker's types; those without an inspector here have no objects. */
const types = ['container', 'image', 'network', 'volume', 'node', 'plugin', 'secret', 'service', 'task', 'config'];

export const inspect: Command = {
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  description: 'Show everything about containers, images, networks and volumes',
  flags: [formatFlag, sizeFlag, typeFlag],
  args: { min: 1 },
  async run(invocation) {
    const type = invocation.flags.string('type') ?? '';
    if (type !== '' && !types.includes(type)) {
      throw new TsrunError('USAGE', `"${type}" is not a valid value for --type`, {
        hint: `there are ${allKinds.join(', ')}`,
      });
    }
    const kinds = type === '' ? allKinds : allKinds.filter((kind) => kind === type);
    return inspectObjects(invocation, kinds, type === '' ? 'object' : type);
  },
};

export const containerInspect: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  description: 'Show everything about containers',
  flags: [formatFlag, sizeFlag],
  args: { min: 1 },
  run: (invocation) => inspectObjects(invocation, ['container'], 'container'),
};

export const imageInspect: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  description: 'Show everything about images',
  flags: [formatFlag, platformFlag],
  args: { min: 1 },
  run: (invocation) => inspectObjects(invocation, ['image'], 'image'),
};

export const volumeInspect: Command = {
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  description: 'Show everything about volumes',
  flags: [formatFlag],
  args: { min: 1 },
  run: (invocation) => inspectObjects(invocation, ['volume'], 'volume'),
};

export const networkInspect: Command = {
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  description: 'Show everything about networks',
  flags: [
    formatFlag,
    { name: 'verbose', short: 'v', type: 'bool', description: 'No effect: it belongs to swarms', hidden: true },
  ],
  args: { min: 1 },
  run: (invocation) => inspectObjects(invocation, ['network'], 'network'),
};

/** Finds documents of objects by name or id. */
class Finder {
  readonly #containers = new ContainerStore();
  readonly #images = new ImageStore(this.#containers.root);
  readonly #flags: ParsedFlags;

  constructor(flags: ParsedFlags) {
    this.#flags = flags;
  }

  async find(kind: Kind, text: string): Promise<Struct | undefined> {
    try {
      if (kind === 'volume') return volumeDocument(new VolumeStore(this.#containers.root).require(text));
      if (kind === 'network') return await this.#network(text);
      return kind === 'container' ? this.#container(text) : this.#image(text);
    } catch (error) {
      if (error instanceof TsrunError && (error.code === 'NOT_FOUND' || error.code === 'INVALID_REFERENCE')) {
        return undefined;
      }
      throw error;
    }
  }

  #layerPath = (chainId: string): string => this.#images.layerPath(chainId);

  /** Loaded late: most objects that are inspected are none. */
  async #network(text: string): Promise<Struct | undefined> {
    const [{ findNetwork }, { liveContainers }, { networkDocument }] = await Promise.all([
      import('../../network/records.ts'),
      import('../../container/network-names.ts'),
      import('../views/network-inspect.ts'),
    ]);
    const record = findNetwork(text);
    return record === undefined ? undefined : networkDocument(record, liveContainers(this.#containers));
  }

  #container(text: string): Struct {
    const container = this.#containers.resolve(text);
    const sizes = (): { written: number; image: number } => ({
      written: directorySize(join(container.directory, 'upper')),
      image: this.#images.resolve(container.record.image.id)?.size ?? 0,
    });
    const cgroup = container.state.pid === 0 ? '' : (container.state.start?.cgroup ?? '');
    const { links } = container.record.options;
    return containerDocument(container, {
      layerPath: this.#layerPath,
      ...(container.state.pid === 0 ? {} : { execIds: liveExecs(this.#containers, container.record.id) }),
      ...(links === undefined ? {} : { links: links.map((link) => this.#shownLink(link, container.record.name)) }),
      ...(cgroup === '' ? {} : { pressure: readPressure(cgroup) }),
      ...(this.#flags.boolean('size') ? { sizes: sizes() } : {}),
    });
  }

  /** A container that is gone keeps its id there. */
  #shownLink({ target, alias }: LinkOption, name: string): string {
    return `/${this.#containers.read(target)?.record.name ?? target}:/${name}/${alias}`;
  }

  #image(text: string): Struct | undefined {
    const image = this.#images.resolve(text);
    if (image === undefined) return undefined;
    checkPlatform(this.#flags, image, text);
    const bytes = this.#images.readBlob(image.id);
    const source = { name: `config of "${text}"`, code: 'CORRUPT' } as const;
    return imageDocument(image, this.#layerPath, bytes === undefined ? undefined : parseOrigin(bytes, source));
  }
}

/** As many as the small engine has shown before the large one would have started. */
const manyObjects = 50;

async function inspectObjects(invocation: Invocation, kinds: readonly Kind[], what: string): Promise<number> {
  const { flags, args, name: command } = invocation;
  if (flags.has('size') || args.length > manyObjects) leaveToLargeEngine();
  const finder = new Finder(flags);
  const output = outputOf(flags.string('format') ?? '');
  const errors: unknown[] = [];
  for (const text of args) {
    try {
      const document = await firstDocument(finder, kinds, text);
      if (document === undefined) throw new TsrunError('NOT_FOUND', `No such ${what}: ${text}`);
      output.add(document);
    } catch (error) {
      errors.push(error);
      // A template that does not fit one object is not tried on the others.
      if (!(error instanceof TsrunError) || error.code === 'USAGE') break;
    }
  }
  output.flush();
  let code = 0;
  for (const error of errors) code = report(error, command, 1);
  return code;
}

async function firstDocument(finder: Finder, kinds: readonly Kind[], text: string): Promise<Struct | undefined> {
  for (const kind of kinds) {
    const document = await finder.find(kind, text);
    if (document !== undefined) return document;
  }
  return undefined;
}

interface Output {
  add(document: Struct): void;
  flush(): void;
}

/** Collects documents, and prints them the way --format says. */
function outputOf(format: string): Output {
  const documents: Struct[] = [];
  if (format === '' || format === 'json') {
    return {
      add: (document) => documents.push(document),
      flush: () => printForeign(`${toJson(documents, format === '' ? 4 : 0)}\n`),
    };
  }
  const failed = (error: unknown, exitCode?: number): never => {
    if (!(error instanceof TemplateError)) throw error;
    throw new TsrunError('USAGE', `template parsing error: ${error.message}`, { exitCode });
  };
  let template: ReturnType<typeof compileTemplate>;
  try {
    template = compileTemplate(format, (field) => `map has no entry for key ${JSON.stringify(field)}`);
  } catch (error) {
    // Docker's code for a template that does not parse is sysexits' EX_USAGE.
    failed(error, 64);
    throw error;
  }
  let text = '';
  return {
    add(document) {
      try {
        text += `${template.apply(document)}\n`;
      } catch (error) {
        failed(error);
      }
    },
    // Docker prints an empty line when there was nothing to print.
    flush: () => printForeign(text === '' ? '\n' : text),
  };
}
