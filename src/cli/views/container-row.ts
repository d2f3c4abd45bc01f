/** One line of `ps`: what its columns and --format show. */

import { isUp } from '../../container/active.ts';
import { attachmentsOf, endpointsOf, networkMode } from '../../container/endpoints.ts';
import type { Cells } from '../../container/list-file.ts';
import { mountOption } from '../../container/mount-plan.ts';
import type { Container } from '../../container/record.ts';
import { quote } from '../format/printf.ts';
import type { Struct, Value } from '../format/value.ts';
import { escapeCells } from '../output.ts';
import { humanDuration, humanSize, timeAgo } from '../units.ts';
import { formatPorts, type PortBinding, parsePort } from './ports.ts';
import { formatStatus, localTime, statusParts, statusText } from './status.ts';

/** The titles of columns, by field. */
export const containerTitles: Readonly<Record<string, Value>> = {
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Label: labelTitle,
  Labels: 'LABELS',
  LocalVolumes: 'LOCAL VOLUMES',
  Mounts: 'MOUNTS',
  Names: 'NAMES',
  Networks: 'NETWORKS',
  Ports: 'PORTS',
  RunningFor: 'CREATED',
  Size: 'SIZE',
  State: 'STATE',
  Status: 'STATUS',
};

/** Docker's header for a label: its last part, dashes and underscores as spaces. */
function labelTitle(name: Value): string {
  return (String(name).split('.').at(-1) ?? '').replace(/[-_]/g, ' ');
}

export interface RowOptions {
  truncate: boolean;
  /** Makes text of images and containers harmless where it is shown. */
  clean: (text: string) => string;
  /** What the image of a container is called now. */
  imageName: (container: Container) => string;
  /** Bytes that the container has written, and those of its image. */
  sizes: (container: Container) => { written: number; image: number };
  now?: Date;
}

/** The first `width` columns; the last of them is … where something was cut off. */
export function ellipsis(text: string, width: number): string {
  if (text.length <= width) return text;
  // Nothing but one unit each, as nearly always.
  if (!/[\ud800-\udbff]/.test(text.slice(0, width))) return `${text.slice(0, width - 1)}…`;
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** The command line as docker's daemon puts it together. */
function commandLine(args: readonly string[]): string {
  const [path = '', ...rest] = args;
  return [path, ...rest.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ');
}

/** Ports that are published now, and those that are only exposed. */
export function portBindings({ record, state }: Container): PortBinding[] {
  const attachments = attachmentsOf(state);
  const open = attachments.filter(({ internal }) => internal !== true);
  // Nothing leads into an internal network: there docker lists neither.
  if (open.length === 0 && attachments.length > 0) return [];
  const published = open.flatMap(({ ports }) => ports);
  const bindings: PortBinding[] = published.map(({ hostIp, hostPort, containerPort, protocol }) => ({
    containerPort,
    protocol,
    host: { ip: hostIp, port: hostPort },
  }));
  for (const exposed of record.exposedPorts.map(parsePort)) {
    const taken = bindings.some(
      (port) => port.containerPort === exposed.containerPort && port.protocol === exposed.protocol,
    );
    if (!taken) bindings.push(exposed);
  }
  return bindings;
}

/** Names of the networks that a container is to be on. */
export function networkNames({ record }: Container): string[] {
  const mode = networkMode(record.options);
  if (mode === 'host' || (mode === 'none' && record.endpoints === undefined)) return [mode];
  return endpointsOf(record)
    .map(({ network }) => network)
    .sort();
}

/** What `Mounts` counts: everything but the tmpfs of --tmpfs. */
function shownMounts({ record }: Container): { type: string; name: string }[] {
  return record.mounts.flatMap((mount, index) => {
    if (mountOption(record, index)?.origin?.flag === 'tmpfs') return [];
    return [{ type: mount.type, name: mount.name ?? mount.source }];
  });
}

function shownCommand({ record }: Container, truncate: boolean): string {
  const command = commandLine(record.process.args);
  return quote(truncate ? ellipsis(command, 20) : command);
}

function shownPorts(container: Container): string {
  // What docker shows for a container that does not run depends on its version; newer ones show nothing.
  return isUp(container.state) ? formatPorts(portBindings(container)) : '';
}

/** The columns of `ps` without options. */
export const defaultColumns = ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names'] as const;

/** What the default columns show of a container, without the time that goes by: what is kept between two lists. */
export function containerCells(container: Container, imageName: RowOptions['imageName']): Cells {
  const { record, state } = container;
  const { before, since = '', after } = statusParts(state);
  const created = Date.parse(record.created);
  const texts = [
    imageName(container),
    shownCommand(container, true),
    before,
    after,
    shownPorts(container),
    record.name,
  ];
  return [Number.isNaN(created) ? '' : created, since, ...escapeCells(texts)];
}

/** The line of a container in the default table, its columns parted by tabs. `now`: in milliseconds. */
export function containerLine(id: string, cells: Cells, now: number): string {
  const [created, since, image, command, before, after, ports, name] = cells;
  const runningFor = typeof created === 'number' ? `${humanDuration(Math.max(0, now - created))} ago` : 'N/A';
  const parts = { before: String(before), after: String(after), ...(typeof since === 'number' ? { since } : {}) };
  const status = formatStatus(parts, now);
  return `${id.slice(0, 12)}\t${image}\t${command}\t${runningFor}\t${status}\t${ports}\t${name}\n`;
}

/** The row of a container; costly fields are computed when they are asked for. */
export function containerRow(container: Container, options: RowOptions): Struct {
  const { record, state } = container;
  const { clean, truncate, now = new Date() } = options;
  return {
    get Command() {
      return shownCommand(container, truncate);
    },
    get CreatedAt() {
      return localTime(record.created);
    },
    ID: truncate ? record.id.slice(0, 12) : record.id,
    get Image() {
      return clean(options.imageName(container));
    },
    Label: (name: Value) =>
      clean(Object.hasOwn(record.labels, String(name)) ? (record.labels[String(name)] ?? '') : ''),
    get Labels() {
      const pairs = Object.entries(record.labels).map(([name, value]) => `${name}=${value}`);
      return clean(pairs.sort().join(','));
    },
    LocalVolumes: String(record.mounts.filter((mount) => mount.type === 'volume').length),
    get Mounts() {
      const names = shownMounts(container).map(({ name }) => (truncate ? ellipsis(name, 15) : name));
      return clean(names.join(','));
    },
    Names: record.name,
    get Networks() {
      return networkNames(container).join(',');
    },
    get Ports() {
      return shownPorts(container);
    },
    get RunningFor() {
      return timeAgo(new Date(record.created), now);
    },
    get Size() {
      const { written, image } = options.sizes(container);
      const total = image + written;
      return total > 0 ? `${humanSize(written)} (virtual ${humanSize(total)})` : humanSize(written);
    },
    State: state.status,
    get Status() {
      return statusText(state, now);
    },
  };
}
