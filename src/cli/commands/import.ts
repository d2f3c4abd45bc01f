/** `tsrun import`: an image of one layer from an archive of a filesystem. */
import { closeSync, openSync } from 'node:fs';
import { recordImageEvent, recordTag } from '../../container/image-events.ts';
import { TsrunError } from '../../error.ts';
import { readAll } from '../../image/archive/source.ts';
import { emptyExecution, formatConfig, noContainer } from '../../image/config-json.ts';
import { errorCode } from '../../image/errors.ts';
import { applyInstructions } from '../../image/instructions.ts';
import { addLocalImage, makeLayer } from '../../image/local-image.ts';
import { hostPlatform, parsePlatform } from '../../image/platform.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { print } from '../output.ts';
import { programVersion } from '../program-version.ts';
import { isTerminal, printForeign } from '../terminal.ts';
import { parseTarget } from './target-reference.ts';

export const importImage: Command = {
  usage: '[OPTIONS] FILE|URL|- [REPOSITORY[:TAG]]',
  description: 'Import the contents of a tar archive as the filesystem of a new image',
  flags: [
    { name: 'change', short: 'c', type: 'list', description: "Apply a Dockerfile's instruction to the image" },
    { name: 'message', short: 'm', type: 'string', description: 'Commit message of the image' },
    { name: 'platform', type: 'string', description: 'Platform of the image, such as linux/arm64' },
  ],
  args: { min: 1, max: 2 },
  async run({ flags, args: [source = '', target] }) {
    const reference = parseTarget(target);
    const platform = flags.string('platform') ? parsePlatform(flags.string('platform') ?? '') : hostPlatform();
    const execution = applyInstructions(flags.strings('change'), emptyExecution());
    const images = new ImageStore();
    const signal = beginInterruption();
    const input = await openSource(source, signal);
    const hold = images.hold();
    try {
      images.layers.sweep();
      const layer = await makeLayer(images.layers, [], {
        source: 'import',
        fill: (unpacker) => input.read((chunk) => unpacker.write(chunk)),
        signal,
      });
      const created = new Date().toISOString();
      const comment = flags.string('message') ?? `Imported from ${input.name}`;
      const config = formatConfig({
        ...platform,
        author: '',
        comment,
        created,
        version: programVersion,
        execution,
        container: noContainer,
        history: [{ created, author: '', createdBy: '', comment, emptyLayer: false }],
        diffIds: [layer.diffId],
      });
      const references = reference === undefined ? [] : [reference];
      const { image } = addLocalImage(images, { config, layers: [layer], references });
      if (reference !== undefined) recordTag(images.root, image, reference);
      recordImageEvent(images.root, 'import', image.id, image.id);
      print(`${image.id}\n`);
      return 0;
    } finally {
      hold.release();
      input.close();
    }
  },
};

/** Where the archive comes from. */
interface Input {
  /** As docker notes it in the image: the URL, else `-`. */
  name: string;
  read(write: (chunk: Buffer) => Promise<void> | void): Promise<void>;
  close(): void;
}

async function openSource(source: string, signal: AbortSignal): Promise<Input> {
  if (/^https?:\/\//i.test(source)) return download(source, signal);
  const fd = openFile(source);
  return {
    name: '-',
    read: (write) => readAll(fd, write, signal),
    close: () => {
      if (fd !== 0) closeSync(fd);
    },
  };
}

async function download(source: string, signal: AbortSignal): Promise<Input> {
  const { openDownload } = await import('../../image/download.ts');
  printForeign(`Downloading from ${source}\n`);
  return { name: source, ...(await openDownload(source, signal)) };
}

function openFile(source: string): number {
  if (source === '-') {
    if (isTerminal(0))
      throw new TsrunError('USAGE', 'cannot import from a terminal', { hint: 'write tsrun import - < FILE' });
    return 0;
  }
  try {
    return openSync(source, 'r');
  } catch (cause) {
    const reason = errorCode(cause) === 'ENOENT' ? 'no such file or directory' : String(errorCode(cause));
    throw new TsrunError('USAGE', `open ${source}: ${reason}`, { cause });
  }
}
