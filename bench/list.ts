/**
 * `ps -a`, `images` and `inspect` with 200 stopped containers and 50 images, beside the same with few of them; and what is
 * looked at most beside the same of docker.
 */
import { type Comparison, interleave, output, time } from './harness.ts';
import { type Engine, withEngines } from './peers.ts';
import { addContainers, addImages } from './records.ts';

const containers = 200;
const images = 50;
/** How much longer a list may take when it is full. */
const factor = 1.3;

const commands: readonly (readonly string[])[] = [['ps', '-a'], ['images'], ['inspect', 'made0']];
/** Measured with few containers and images. */
const looks: readonly (readonly string[])[] = [['ps'], ['images'], ['version']];
/** What such a look may take, as a part of docker's. */
const lookFactor = 0.7;

export async function benchList(directory: string, rounds: number): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    for (const engine of engines)
      output([...engine.command, 'create', '--name', 'made0', 'busybox', 'true'], { env: engine.env });
    const all = [...commands, ...looks.filter((look) => look.join(' ') !== 'images')];
    const few = await measure(engines, all, rounds, 'with one container and one image');
    for (const engine of engines) fill(engine);
    const many = await measure(engines, commands, rounds, `with ${containers} containers and ${images} images`);
    const looked: Comparison[] = looks.map((look) => ({
      title: `${look.join(' ')}, with one container and one image`,
      unit: 'ms',
      ours: 'tsrun',
      samples: few.get(look.join(' ')) ?? {},
      target: { peers: ['docker'], factor: lookFactor },
    }));
    const listed: Comparison[] = commands.map((command) => {
      const title = command.join(' ');
      return {
        title,
        unit: 'ms',
        ours: `tsrun, many`,
        samples: {
          ...rename(few.get(title) ?? {}, 'few'),
          ...rename(many.get(title) ?? {}, 'many'),
        },
        target: { peers: ['tsrun, few'], factor },
      };
    });
    return [...looked, ...listed];
  });
}

function rename(samples: Record<string, number[]>, how: string): Record<string, number[]> {
  return Object.fromEntries(Object.entries(samples).map(([name, values]) => [`${name}, ${how}`, values]));
}

async function measure(
  engines: readonly Engine[],
  commands: readonly (readonly string[])[],
  rounds: number,
  what: string,
): Promise<Map<string, Record<string, number[]>>> {
  const measured = new Map<string, Record<string, number[]>>();
  process.stderr.write(`${what} `);
  for (const command of commands) {
    const contestants = engines.map(({ name, command: program, env }) => ({
      name,
      run: () => time([...program, ...command], { env }),
    }));
    measured.set(command.join(' '), await interleave(contestants, rounds));
  }
  return measured;
}

function fill({ name, command, env }: Engine): void {
  output([...command, 'rm', 'made0'], { env });
  if (name === 'tsrun') {
    addContainers(env.TSRUN_ROOT ?? '', env.TSRUN_STATE ?? '', 'busybox', containers);
    addImages(env.TSRUN_ROOT ?? '', 'busybox', images);
    return;
  }
  for (let index = 0; index < containers; index++) {
    output([...command, 'create', '--name', `made${index}`, 'busybox', 'true'], { env });
  }
  for (let index = 0; index < images; index++) output([...command, 'tag', 'busybox', `made${index}`], { env });
}
