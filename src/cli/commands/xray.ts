/** `tsrun xray`: a container beside the host, as the kernel has both now. */
import { writeFileSync } from 'node:fs';
import { ContainerStore } from '../../container/store.ts';
import { historyOf, type PathView, pathOf } from '../../container/xray/layers.ts';
import { xray } from '../../container/xray/xray.ts';
import { messageOf, TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { beginInterruption, interruptedBy } from '../interrupt.ts';
import { type Language, languageFlag, languageOf, oneOf } from '../options/language.ts';
import { print } from '../output.ts';
import { hasColours, painter } from '../style.ts';
import { printForeign, terminalSize } from '../terminal.ts';
import { renderXrayHtml } from '../xray/html.ts';
import { renderXrayJson } from '../xray/json.ts';
import { sheetOfPath } from '../xray/path-sheet.ts';
import { sheetOfXray, type XraySheet } from '../xray/sheet.ts';
import { renderXray } from '../xray/text.ts';
import { serveXray } from '../xray/watch.ts';
import { xrayWords } from '../xray/words.ts';

const formats = ['text', 'json'] as const;

export const xrayCommand: Command = {
  usage: '[OPTIONS] CONTAINER [PATH]',
  description:
    'Show a container beside the host: namespaces, processes, mounts and layers, limits,\ncapabilities and system calls, and the way of a packet.\nWith a path: every layer that has something there',
  flags: [
    {
      name: 'format',
      type: 'string',
      description: `What is printed (${formats.join('|')})`,
      shownDefault: '"text"',
      check: oneOf(formats),
    },
    { name: 'html', type: 'string', description: 'Write it as one page with drawings to this file' },
    languageFlag,
    {
      name: 'port',
      type: 'string',
      description: 'Port of 127.0.0.1 for --watch; by default one that is free',
      check: checkPort,
    },
    { name: 'watch', type: 'bool', description: 'Serve the page on 127.0.0.1, and keep it as the container is' },
  ],
  args: { min: 1, max: 2 },
  async run({ flags, args: [name = '', path] }) {
    const language = languageOf(flags);
    const file = flags.string('html');
    const watches = flags.boolean('watch');
    refuse(flags, path, file, watches);
    const store = new ContainerStore();
    const images = new ImageStore(store.root);
    if (path !== undefined) {
      const found = lookAtPath(store, images, name, path);
      if (flags.string('format') === 'json') return printJson(found.view, language);
      return printSheet(sheetOfPath(found.view, found.container, language));
    }
    if (watches) return watch(store, images, name, Number(flags.string('port') ?? 0), language);
    const found = xray(store, images, name);
    if (file) return writePage(file, renderXrayHtml(found, language, { live: undefined, taken: new Date() }));
    if (flags.string('format') === 'json') return printJson(found, language);
    return printSheet(sheetOfXray(found, language));
  },
};

function checkPort(text: string): void {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) throw new Error('must be a port, 0 to 65535');
}

function refuse(flags: ParsedFlags, path: string | undefined, file: string | undefined, watches: boolean): void {
  const given = [
    ...(file ? ['--html'] : []),
    ...(watches ? ['--watch'] : []),
    ...(flags.has('format') ? ['--format'] : []),
  ];
  if (given.length > 1) throw new TsrunError('USAGE', `conflicting options: ${given.slice(0, 2).join(' and ')}`);
  if (flags.has('port') && !watches) throw new TsrunError('USAGE', '--port is that of --watch');
  if (path !== undefined && (file || watches)) {
    throw new TsrunError('USAGE', `${given[0]} shows the whole container: leave out the path`);
  }
}

function lookAtPath(
  store: ContainerStore,
  images: ImageStore,
  name: string,
  path: string,
): { container: string; view: PathView } {
  const container = store.resolve(name);
  const { image } = container.record;
  const layers = images.openLayers(image.layers, image.reference);
  try {
    return {
      container: container.record.name,
      view: pathOf(container, path, layers.paths, historyOf(images, image.id)),
    };
  } finally {
    layers.close();
  }
}

function printJson(found: object, language: Language): number {
  printForeign(renderXrayJson(found, language));
  return 0;
}

function printSheet(sheet: XraySheet): number {
  print(renderXray(sheet, { width: terminalSize(1)?.columns ?? 100, paint: painter(hasColours(1)) }));
  return 0;
}

function writePage(file: string, page: string): number {
  try {
    writeFileSync(file, page, { mode: 0o644 });
  } catch (cause) {
    throw new TsrunError('USAGE', `cannot write the page to "${file}": ${messageOf(cause)}`, { cause });
  }
  return 0;
}

/** Serves until a signal comes. */
async function watch(
  store: ContainerStore,
  images: ImageStore,
  name: string,
  port: number,
  language: Language,
): Promise<number> {
  // Whatever is wrong with it is said here, and not in a browser.
  xray(store, images, name);
  const signal = beginInterruption();
  const server = await serveXray({ look: () => xray(store, images, name), port, language });
  print(`${xrayWords[language].serving(server.address)}\n`);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  await server.close();
  return 128 + (interruptedBy() ?? 0);
}
