/**
 * The events of a pull or push as docker shows them: on a terminal one line per layer, redrawn in place (ECMA-48 cursor
 * movement); elsewhere a line for each change. Pure: it returns what to write and where.
 */
import type { LayerEvent, PullEvent, PushEvent } from './events.ts';

export interface ProgressOutput {
  /** Whether lines can be redrawn. */
  terminal: boolean;
  columns: number;
  rows: number;
}

/** Text for standard output or, for warnings, standard error. */
export interface ProgressText {
  text: string;
  warning: boolean;
}

const maxBarWidth = 50;
const minBarWidth = 10;
/** "a1b2c3d4e5f6: Downloading [>] 12.34MB/45.67MB", without what is between the brackets. */
const textAroundBar = 46;
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes as docker writes them: decimal units, four significant digits (`%.4g`). */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

function formatBar(current: number, total: number, columns: number): string {
  const width = Math.min(maxBarWidth, columns - textAroundBar);
  if (width < minBarWidth) return '';
  const filled = Math.min(width, Math.floor((current / total) * width));
  const empty = width - filled;
  return `[${'='.repeat(filled)}>${' '.repeat(empty)}] `;
}

/** The part after the status: `[=====>    ]  12.34MB/45.67MB`. */
export function formatProgress(current: number, total: number, columns: number): string {
  if (total <= 0 || current > total) return formatSize(current).padStart(8);
  return `${formatBar(current, total, columns)}${formatSize(current).padStart(8)}/${formatSize(total)}`;
}

function statusText(event: LayerEvent): string {
  if (event.status !== 'Retrying') return event.status;
  const seconds = event.delay ?? 0;
  return `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`;
}

/** Keeps what is on the screen, and says what to write for each event. */
export class ProgressView {
  readonly #output: ProgressOutput;
  /** The last text of each layer; a line of the screen on a terminal. */
  readonly #lines = new Map<number, { row: number; text: string }>();

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /** What to write for `event`; undefined: nothing. */
  show(event: PullEvent | PushEvent): ProgressText | undefined {
    switch (event.kind) {
      case 'start':
        return { text: `${event.what}: Pulling from ${event.repository}\n`, warning: false };
      case 'begin':
        return { text: `The push refers to repository [${event.repository}]\n`, warning: false };
      case 'pushed':
        return { text: `${event.tag}: digest: ${event.digest} size: ${event.size}\n`, warning: false };
      case 'warning':
        return this.#warning(event.text);
      case 'layer': {
        const text = this.#output.terminal ? this.#redraw(event) : this.#plainLine(event);
        return text === '' ? undefined : { text, warning: false };
      }
      case 'end': {
        const status = event.changed ? 'Downloaded newer image' : 'Image is up to date';
        const lines = [`Digest: ${event.digest}`, `Status: ${status} for ${event.familiar}`, event.canonical];
        return { text: `${lines.join('\n')}\n`, warning: false };
      }
    }
  }

  #warning(text: string): ProgressText {
    // Another line on the screen: the layers above it are that much farther away from now on.
    for (const line of this.#lines.values()) line.row--;
    return { text: `WARNING: ${text}\n`, warning: true };
  }

  #plainLine(event: LayerEvent): string {
    // How far it is comes again and again, and nobody reads that in a log.
    if (event.current !== undefined) return '';
    const text = `${event.id}: ${statusText(event)}`;
    if (this.#lines.get(event.index)?.text === text) return '';
    this.#lines.set(event.index, { row: 0, text });
    return `${text}\n`;
  }

  #redraw(event: LayerEvent): string {
    const { columns, rows } = this.#output;
    const progress = event.current === undefined ? '' : ` ${formatProgress(event.current, event.total ?? 0, columns)}`;
    const text = `${event.id}: ${statusText(event)}${progress}`.slice(0, Math.max(columns, 20));
    const line = this.#lines.get(event.index);
    if (line === undefined) {
      // The cursor stays below the last line; all others move one row up.
      for (const other of this.#lines.values()) other.row--;
      this.#lines.set(event.index, { row: -1, text });
      return `${text}\n`;
    }
    if (line.text === text) return '';
    line.text = text;
    // What has left the screen cannot be reached.
    if (-line.row >= rows) return '';
    return `\x1b[${-line.row}A\x1b[2K\r${text}\r\x1b[${-line.row}B`;
  }
}
