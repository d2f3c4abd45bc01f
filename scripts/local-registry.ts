/** The TypeScript side of local-registry.sh: writes image layouts into the cache, starts the registry, pushes. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeBusybox, writeTestImages } from './images/busybox.ts';
import { defaultPath, LayoutWriter } from './images/layout.ts';
import { layoutDirectory } from './images/paths.ts';
import { pushLayout } from './images/push.ts';
import { startRegistry } from './images/registry.ts';

/** Writes a layout beside its place and moves it there when it is complete, so that two runs do not meet. */
async function makeLayout(name: string, write: (layout: LayoutWriter) => void | Promise<void>): Promise<void> {
  const place = layoutDirectory(name);
  if (existsSync(join(place, 'index.json'))) return;
  mkdirSync(dirname(place), { recursive: true });
  const part = `${place}.part.${process.pid}`;
  try {
    const layout = new LayoutWriter(part);
    await write(layout);
    layout.finish();
    if (!existsSync(place)) renameSync(part, place);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

const usage = 'usage: local-registry.ts layout NAME INPUT | serve DIRECTORY PORT NAME…';
const [action, ...args] = process.argv.slice(2);
if (action === 'layout') {
  const [name = '', input = ''] = args;
  if (name === 'busybox') await makeLayout(name, (layout) => writeBusybox(layout, input));
  else if (name === 'test') await makeLayout(name, (layout) => writeTestImages(layout, input));
  else if (name === 'debian') {
    await makeLayout(name, async (layout) => {
      const image = layout.image([await layout.layerFromFile(input)], { Cmd: ['bash'], Env: [defaultPath] });
      layout.tag('library/debian:latest', image);
      layout.tag('library/debian:bookworm', image);
    });
  } else if (name === 'heavy') {
    await makeLayout(name, async (layout) => {
      const layers = [];
      for (const file of readdirSync(input)
        .filter((file) => file.endsWith('.tar'))
        .sort()) {
        layers.push(await layout.layerFromFile(join(input, file)));
      }
      const config = { Cmd: ['nginx', '-g', 'daemon off;'], Env: [defaultPath], WorkingDir: '/srv/app' };
      layout.tag('library/heavy:latest', layout.image(layers, { ...config, ExposedPorts: { '80/tcp': {} } }));
    });
  } else throw new Error(usage);
} else if (action === 'serve') {
  const [directory = '', port = '0', ...names] = args;
  const registry = await startRegistry(directory, Number(port));
  writeFileSync(join(directory, 'registry.pid'), `${registry.pid}\n`);
  for (const name of names) await pushLayout(layoutDirectory(name), registry.address);
  console.log(registry.address);
} else throw new Error(usage);
process.exit(0); // the registry's process would keep the event loop's handles
