/** What `xray` has found, as it is laid out in a language: for the terminal and for the page alike. Texts are not escaped yet. */
import type { Sentence } from '../../container/sentence.ts';
import type { CgroupView } from '../../container/xray/limits.ts';
import type { MountView } from '../../container/xray/mounts.ts';
import type { SecurityView } from '../../container/xray/security.ts';
import type { Xray } from '../../container/xray/xray.ts';
import { tell } from '../explain/tell.ts';
import type { Language } from '../options/language.ts';
import { binarySize } from '../units.ts';
import { type LabelName, type SectionName, type XrayWords, xrayWords } from './words.ts';

export interface Table {
  head: string[];
  rows: string[][];
}

export interface Field {
  label: string;
  value: string;
}

/** A chain of stages. */
export interface Way {
  title: string;
  stages: { kind: string; name: string; details: string[] }[];
}

export interface XraySection {
  name: SectionName;
  title: string;
  about: string;
  fields: Field[];
  table: Table | undefined;
  ways: Way[];
}

export interface XraySheet {
  language: Language;
  heading: string;
  sections: XraySection[];
}

export function sheetOfXray(found: Xray, language: Language): XraySheet {
  const words = xrayWords[language];
  const section = (name: SectionName, content: Partial<XraySection>): XraySection => sheetSection(words, name, content);
  const say = (sentence: Sentence): string => tell(sentence, language);
  return {
    language,
    heading: words.heading(found.name),
    sections: [
      section('overview', { fields: overview(found, words) }),
      section('namespaces', { table: namespaces(found, words) }),
      section('processes', { table: processes(found, words) }),
      section('mounts', { table: mounts(found, words) }),
      section('layers', { table: layers(found, words), fields: [field(words, 'upper', found.upper)] }),
      section('cgroup', cgroup(found.cgroup, words, say)),
      section('security', { fields: security(found.security, words) }),
      section('ways', {
        ...(found.ways.length === 0 ? { about: words.noWays } : {}),
        ways: found.ways.map(({ direction, title, hops }) => ({
          title: direction === 'in' ? words.wayIn(title) : words.wayOut(title),
          stages: hops.map(({ kind, name, details }) => ({ kind: words.hops[kind], name, details: details.map(say) })),
        })),
      }),
    ],
  };
}

export function sheetSection(words: XrayWords, name: SectionName, content: Partial<XraySection>): XraySection {
  return { name, ...words.sections[name], fields: [], table: undefined, ways: [], ...content };
}

export function field(words: XrayWords, label: LabelName, value: string): Field {
  return { label: words.labels[label], value };
}

export function table(words: XrayWords, head: readonly LabelName[], rows: string[][]): Table {
  return { head: head.map((label) => words.labels[label]), rows };
}

function overview({ id, image, status, startedAt, pid, monitorPid }: Xray, words: XrayWords): Field[] {
  return [
    field(words, 'id', id.slice(0, 12)),
    field(words, 'image', image),
    field(words, 'status', status),
    ...(startedAt === undefined ? [] : [field(words, 'started', startedAt)]),
    field(words, 'pid', String(pid)),
    ...(monitorPid === 0 ? [] : [field(words, 'monitor', String(monitorPid))]),
  ];
}

/** Whose a namespace is, in words. */
export function whose(one: Xray['namespaces'][number], words: XrayWords): string {
  if (one.id === one.hostId) return words.shared;
  return one.sharedWith.length === 0 ? words.itsOwn : words.sharedWith(one.sharedWith.join(', '));
}

function namespaces(found: Xray, words: XrayWords): Table {
  return table(
    words,
    ['namespace', 'container', 'host', 'own', 'whatFor'],
    found.namespaces.map((one) => [
      one.type,
      String(one.id),
      String(one.hostId),
      whose(one, words),
      words.namespaces[one.type],
    ]),
  );
}

function processes(found: Xray, words: XrayWords): Table {
  return table(
    words,
    ['hostPid', 'innerPid', 'user', 'state', 'threads', 'memory', 'command'],
    found.processes.map(({ pid, innerPid, uid, state, threads, memory, name, command, depth }) => [
      ...[String(pid), String(innerPid), String(uid), state, String(threads), binarySize(memory)],
      `${'  '.repeat(depth)}${command === '' ? `[${name}]` : command}`,
    ]),
  );
}

function mounts(found: Xray, words: XrayWords): Table {
  return table(
    words,
    ['place', 'kind', 'type', 'from', 'options'],
    found.mounts.map((mount) => [
      ...[mount.point, words.mountKinds[mount.kind], mount.type, sourceOf(mount)],
      mount.options.join(','),
    ]),
  );
}

function sourceOf({ kind, from, root, source }: MountView): string {
  if (from !== undefined) return from;
  if (kind === 'names') return '-';
  if (kind === 'readOnly') return root;
  return source === '' || source === 'none' ? '-' : source;
}

function layers(found: Xray, words: XrayWords): Table {
  return table(
    words,
    ['layer', 'form', 'size', 'madeBy'],
    found.layers
      .toReversed()
      .map(({ number, form, bytes, createdBy }) => [
        ...[String(number), words.forms[form], bytes === undefined ? '-' : binarySize(bytes)],
        createdBy === '' ? '-' : createdBy,
      ]),
  );
}

function cgroup(
  view: CgroupView | undefined,
  words: XrayWords,
  say: (sentence: Sentence) => string,
): Partial<XraySection> {
  if (view === undefined) return { about: words.noCgroup };
  const { usage, limits } = view;
  const bound = (limit: number | undefined, text: (value: number) => string): string =>
    limit === undefined ? words.unlimited : text(limit);
  const met = (file: string): string => {
    const one = limits.find((limit) => limit.file === file);
    return one === undefined ? '' : say(one.met);
  };
  const limitOf = (file: string): string => limits.find((limit) => limit.file === file)?.value ?? words.unlimited;
  const sum = (of: 'readBytes' | 'writtenBytes'): string =>
    binarySize((usage.io ?? []).reduce((total, disk) => total + disk[of], 0));
  const { labels } = words;
  const pressure = (['cpu', 'memory', 'io'] as const).flatMap((name) => {
    const percent = usage.pressure[name]?.some.avg10;
    return percent === undefined ? [] : [[`${labels.pressure}: ${name}`, `${percent.toFixed(1)} %`, '', '']];
  });
  const shown = ['memory.max', 'cpu.max', 'pids.max'];
  return {
    fields: [field(words, 'path', view.path), field(words, 'controllers', view.controllers.join(', ') || words.none)],
    table: table(
      words,
      ['resource', 'used', 'limit', 'met'],
      [
        ...(usage.memory === undefined
          ? []
          : [
              [
                ...[labels.memory, binarySize(usage.memory.current)],
                ...[bound(usage.memory.limit, binarySize), met('memory.max')],
              ],
            ]),
        [labels.processor, `${(usage.cpu.usage / 1e6).toFixed(2)} s`, limitOf('cpu.max'), met('cpu.max')],
        ...(usage.pids === undefined
          ? []
          : [[labels.processes, String(usage.pids.current), bound(usage.pids.limit, String), met('pids.max')]]),
        ...(usage.io === undefined
          ? []
          : [
              [labels.reads, sum('readBytes'), '', ''],
              [labels.writes, sum('writtenBytes'), '', ''],
            ]),
        ...pressure,
        ...limits
          .filter(({ file }) => !shown.includes(file))
          .map((limit) => [limit.file, '', limit.value, say(limit.met)]),
      ],
    ),
  };
}

function security(view: SecurityView, words: XrayWords): Field[] {
  const names = (list: readonly string[]): string =>
    list.map((name) => name.replace(/^CAP_/, '')).join(', ') || words.none;
  const { capabilities, lost, filter, filters, noNewPrivileges } = view;
  const sets = (['effective', 'bounding', 'permitted', 'inheritable', 'ambient'] as const).map((set) => ({
    label: words.capabilities[set],
    value: names(capabilities[set]),
  }));
  return [
    field(words, 'user', `${view.uid}:${view.gid}`),
    field(words, 'groups', view.groups.join(', ') || words.none),
    ...sets,
    field(words, 'lost', names(lost)),
    field(words, 'newPrivileges', noNewPrivileges ? words.yes : words.no),
    field(words, 'filter', filter === undefined ? words.noFilter : words.filterSize(filter.instructions, filters)),
    ...(filter === undefined
      ? []
      : [
          field(words, 'allowed', words.calls(filter.allowed.length)),
          ...Object.entries(filter.refused).map(([answer, calls]) => ({
            label: `${words.labels.refused} ${answer}`,
            value: `${words.calls(calls.length)}: ${calls.join(', ')}`,
          })),
          field(
            words,
            'depends',
            filter.depends.map(({ call, answers }) => `${call} (${answers.join('/')})`).join(', ') || words.none,
          ),
        ]),
  ];
}
