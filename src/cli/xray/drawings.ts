/**
 * The drawings of `xray` as SVG: small enough for a telephone, and scaled up from there. What they say the tables beside
 * them say too.
 */
import type { Xray } from '../../container/xray/xray.ts';
import { escapeHtml } from '../explain/page.ts';
import { escapeControls } from '../output.ts';
import { binarySize } from '../units.ts';
import type { Way } from './sheet.ts';
import type { XrayWords } from './words.ts';

/** Units of the drawings' own; a character has about 7 of them. */
const width = 360;
const character = 6.6;

/** Text from anywhere, made harmless and cut to the room that there is. */
function label(text: string, room: number): string {
  const most = Math.max(1, Math.floor(room / character));
  const characters = [...escapeControls(text)];
  return escapeHtml(characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : characters.join(''));
}

function drawing(id: string, title: string, height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title"><title id="${id}-title">${escapeHtml(title)}</title>
${parts.join('\n')}
</svg>`;
}

function box(x: number, y: number, w: number, h: number, kind: string): string {
  return `<rect class="${kind}" x="${x}" y="${y}" width="${w}" height="${h}" rx="4"/>`;
}

function text(x: number, y: number, content: string, kind = ''): string {
  return `<text x="${x}" y="${y}"${kind === '' ? '' : ` class="${kind}"`}>${content}</text>`;
}

function arrow(x: number, from: number, to: number): string {
  return `<path class="line" d="M${x} ${from}V${to - 1}m-4 -5l4 6l4 -6"/>`;
}

/** Two columns; what is shared reaches over both. */
export function drawNamespaces(found: Xray, words: XrayWords): string {
  const row = 34;
  const half = 170;
  const right = width - half;
  const parts = [
    text(half / 2, 14, label(words.theHost, half), 'middle strong'),
    text(right + half / 2, 14, label(`${words.theContainer} ${found.name}`, half), 'middle strong'),
  ];
  found.namespaces.forEach(({ type, id, hostId }, index) => {
    const y = 22 + index * row;
    if (id === hostId) {
      parts.push(box(0.5, y, width - 1, row - 8, 'shared'), text(width / 2, y + 17, `${type} ${id}`, 'middle'));
      return;
    }
    parts.push(box(0.5, y, half - 1, row - 8, 'plain'), text(half / 2, y + 17, `${type} ${hostId}`, 'middle'));
    parts.push(
      box(right + 0.5, y, half - 1, row - 8, 'own'),
      text(right + half / 2, y + 17, `${type} ${id}`, 'middle'),
    );
  });
  const title = words.drawing(words.sections.namespaces.title);
  return drawing('d-namespaces', title, 22 + found.namespaces.length * row, parts);
}

const mostProcesses = 30;

/** A tree that hangs from the first process. */
export function drawProcesses(found: Xray, words: XrayWords): string {
  const row = 28;
  const shown = found.processes.slice(0, mostProcesses);
  const depths = shown.map(({ depth }) => Math.min(depth, 8));
  const parts = shown.flatMap(({ pid, innerPid, name, parent }, index) => {
    const y = 4 + index * row;
    const x = (depths[index] ?? 0) * 18 + 0.5;
    const above = shown.findIndex((one) => one.pid === parent);
    const up = above < 0 ? [] : [`M${(depths[above] ?? 0) * 18 + 9} ${4 + above * row + 22}V${y + 11}H${x}`];
    return [
      ...up.map((path) => `<path class="line" d="${path}"/>`),
      box(x, y, width - x - 1, row - 6, 'own'),
      text(x + 8, y + 15, `${pid} → ${innerPid}`),
      text(x + 120, y + 15, label(name, width - x - 130), 'strong'),
    ];
  });
  return drawing(
    'd-processes',
    words.drawing(words.sections.processes.title),
    Math.max(1, shown.length) * row + 4,
    parts,
  );
}

/** From the top down, as overlayfs stacks them. */
export function drawLayers(found: Xray, words: XrayWords): string {
  const row = 34;
  const own = { name: words.ownDirectory, size: '', kind: 'own' };
  const stack = [
    own,
    ...found.layers.toReversed().map(({ number, bytes, form }) => ({
      name: `${words.layerOf(number)} (${words.forms[form]})`,
      size: bytes === undefined ? '' : binarySize(bytes),
      kind: 'plain',
    })),
  ];
  const parts = stack.flatMap(({ name, size, kind }, index) => {
    const y = 2 + index * row;
    return [
      box(0.5, y, width - 1, row - 5, kind),
      text(10, y + 19, label(name, width - 110)),
      text(width - 10, y + 19, label(size, 90), 'end'),
    ];
  });
  return drawing('d-layers', words.drawing(words.sections.layers.title), stack.length * row, parts);
}

/** A bar for each thing that is counted, full where its limit is. */
export function drawCgroup({ cgroup }: Xray, words: XrayWords): string {
  if (cgroup === undefined) return '';
  const { memory, pids, pressure } = cgroup.usage;
  const percent = (value: number | undefined) => (value === undefined ? undefined : value / 100);
  const share = (used: number, limit: number | undefined) => (limit ? used / limit : undefined);
  const { labels } = words;
  const bars: { name: string; value: string; share: number | undefined }[] = [];
  if (memory !== undefined) {
    const of = memory.limit === undefined ? words.unlimited : binarySize(memory.limit);
    const value = `${binarySize(memory.current)} / ${of}`;
    bars.push({ name: labels.memory, value, share: share(memory.current, memory.limit) });
  }
  if (pids !== undefined) {
    const value = `${pids.current} / ${pids.limit ?? words.unlimited}`;
    bars.push({ name: labels.processes, value, share: share(pids.current, pids.limit) });
  }
  for (const name of ['cpu', 'memory', 'io'] as const) {
    const waited = pressure[name]?.some.avg10;
    if (waited === undefined) continue;
    bars.push({ name: `${labels.pressure}: ${name}`, value: `${waited.toFixed(1)} %`, share: percent(waited) });
  }
  if (bars.length === 0) return '';
  const row = 44;
  const parts = bars.flatMap(({ name, value, share: part }, index) => {
    const y = index * row;
    const full = Math.min(1, part ?? 0) * (width - 1);
    return [
      text(0, y + 14, label(name, 190)),
      text(width, y + 14, label(value, 160), 'end'),
      box(0.5, y + 20, width - 1, 14, 'plain'),
      ...(full < 1 ? [] : [box(0.5, y + 20, Math.max(full, 3), 14, part !== undefined && part > 0.9 ? 'warn' : 'bar')]),
    ];
  });
  return drawing('d-cgroup', words.drawing(words.sections.cgroup.title), bars.length * row, parts);
}

/** The stages, one below the other. */
export function drawWay({ title, stages }: Way, index: number, words: XrayWords): string {
  const row = 62;
  const parts = stages.flatMap(({ kind, name }, at) => {
    const y = 2 + at * row;
    return [
      box(0.5, y, width - 1, 42, at === stages.length - 1 ? 'own' : 'plain'),
      text(10, y + 17, label(kind, width - 20), 'soft'),
      text(10, y + 34, label(name, width - 20), 'strong'),
      ...(at === stages.length - 1 ? [] : [arrow(width / 2, y + 43, y + row)]),
    ];
  });
  return drawing(`d-way-${index + 1}`, words.drawing(title), stages.length * row - 14, parts);
}
