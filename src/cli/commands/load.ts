/** `tsrun load`: images from an archive. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { layerInUse } from '../../container/all-containers.ts';
import { recordImageEvent, renamed } from '../../container/image-events.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { errorCode } from '../../image/errors.ts';
import { loadImages } from '../../image/load.ts';
import { parsePlatform } from '../../image/platform.ts';
import { familiarName } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { beginInterruption } from '../interrupt.ts';
import { platformFlag } from '../options/platform.ts';
import { print } from '../output.ts';
import { isTerminal } from '../terminal.ts';

export const load: Command = {
  usage: '[OPTIONS]',
  description: 'Load images from a tar archive or stdin',
  flags: [
    { name: 'input', short: 'i', type: 'string', description: 'Read from a file instead of stdin' },
    { ...platformFlag, description: 'Of an image for several platforms the one for this' },
    { name: 'quiet', short: 'q', type: 'bool', description: 'No effect: there is no output but the names' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const containers = new ContainerStore();
    const images = new ImageStore(containers.root);
    const platform = flags.string('platform');
    const input = flags.string('input') ?? '';
    const fd = input === '' ? standardInput() : open(input);
    try {
      const loaded = await loadImages(images, fd, {
        signal: beginInterruption(),
        ...(platform ? { platform: parsePlatform(platform) } : {}),
        onDiscard: (layers) => images.discardLayers(layers, layerInUse(containers)),
      });
      for (const { image, references, before } of loaded) {
        for (const { name, old } of renamed(before, image.id)) {
          print(`The image ${name} already exists, renaming the old one with ID ${old} to empty string\n`);
        }
        for (const reference of references) print(`Loaded image: ${familiarName(reference)}\n`);
        if (references.length === 0) print(`Loaded image ID: ${image.id}\n`);
        recordImageEvent(images.root, 'load', image.id, image.id);
      }
      return 0;
    } finally {
      if (fd !== 0) closeSync(fd);
    }
  },
};

function standardInput(): number {
  if (isTerminal(0)) {
    throw new TsrunError('USAGE', 'requested load from stdin, but stdin is empty', {
      hint: 'name a file: tsrun load -i FILE, or redirect: tsrun load < FILE',
    });
  }
  return 0;
}

function open(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    const reason = errorCode(cause) === 'ENOENT' ? 'no such file or directory' : String(errorCode(cause));
    throw new TsrunError('USAGE', `open ${path}: ${reason}`, { cause });
  }
  if (!fstatSync(fd).isDirectory()) return fd;
  closeSync(fd);
  throw new TsrunError('USAGE', `open ${path}: is a directory`, {
    hint: `an image layout in a directory is loaded through tar: tar -C ${path} -c . | tsrun load`,
  });
}
