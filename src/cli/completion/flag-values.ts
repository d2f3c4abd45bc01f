/** What can stand behind a flag, by its name; a flag that is not named here takes what nobody can guess. */

import { walls } from '../../container/walls.ts';
import { capabilityNames } from '../../linux/capabilities.ts';
import { signalNames } from '../../linux/signals.ts';
import type { Flag } from '../flag.ts';
import { containerFilters, containerStates, healthStates } from '../views/container-filter.ts';
import { imageFilters } from '../views/image-filter.ts';
import { type Candidate, type Completion, nothing, values } from './candidate.ts';
import { containerNames, imageNames, networkNames, volumeNames } from './resources.ts';

type Source = (typed: string, command: string) => Completion;

const all = (): boolean => true;
const words = (text: string): Source => {
  const list = text.split(' ');
  return () => values(list);
};
const files: Source = () => ({ candidates: [], files: 'files' });
const directories: Source = () => ({ candidates: [], files: 'directories' });

/** `container:NAME`, which several kinds of namespaces take. */
function ofContainers(typed: string): Candidate[] {
  const prefix = 'container:';
  if (!typed.startsWith(prefix)) return [{ value: prefix }];
  return containerNames(typed.slice(prefix.length), (status) => status === 'running').map(({ value }) => ({
    value: prefix + value,
  }));
}

const namespace = (others: string): Source => {
  const list = values(others.split(' ')).candidates;
  return (typed) => {
    const candidates = [...list, ...ofContainers(typed)];
    return {
      candidates,
      open: candidates.filter(({ value }) => value.startsWith(typed))[0]?.value.endsWith(':') ?? false,
    };
  };
};

const sources: Readonly<Record<string, Source>> = {
  'cap-add': () => values(['ALL', ...capabilityNames.map((name) => name.replace(/^CAP_/, ''))]),
  'cap-drop': () => values(['ALL', ...capabilityNames.map((name) => name.replace(/^CAP_/, ''))]),
  'cert-dir': directories,
  cgroupns: words('host private'),
  cidfile: files,
  config: directories,
  device: files,
  driver: (_, command) => (command.startsWith('network') ? values(['bridge']) : values(['local'])),
  env: () => values(Object.keys(process.env)),
  'env-file': files,
  filter: filterValues,
  firewall: words('warn cooperate'),
  format: (_, command) => values(formatsOf(command)),
  input: files,
  ipc: namespace('host none private shareable'),
  'label-file': files,
  lang: words('en ru'),
  level: words('brief full'),
  link: (typed) => ({ candidates: containerNames(typed, all) }),
  'log-driver': words('json-file none'),
  'log-opt': () => values(['env=', 'labels=', 'max-file=', 'max-size=', 'tag='], { open: true }),
  mount: () => values(['type=bind,', 'type=tmpfs,', 'type=volume,'], { open: true }),
  network: (typed) => {
    const candidates = [...networkNames(), ...ofContainers(typed)];
    return { candidates, open: typed !== '' && 'container:'.startsWith(typed) };
  },
  output: files,
  pid: namespace('host'),
  platform: words('linux/amd64 linux/arm64'),
  pull: words('always missing never'),
  restart: words('always no on-failure unless-stopped'),
  root: directories,
  'security-opt': words('no-new-privileges seccomp=unconfined systempaths=unconfined'),
  signal: () => values(signalNames()),
  state: directories,
  'stop-signal': () => values(signalNames().map((name) => `SIG${name}`)),
  tail: words('all 10 100'),
  'trace-file': files,
  type: words('container image network volume'),
  ulimit: () => values(['core=', 'cpu=', 'data=', 'fsize=', 'memlock=', 'nofile=', 'nproc=', 'stack='], { open: true }),
  userns: words('auto host keep-id'),
  uts: words('host'),
  volume: () => ({
    candidates: volumeNames().map(({ value }) => ({ value: `${value}:` })),
    files: 'files',
    open: true,
  }),
  'volumes-from': (typed) => ({ candidates: containerNames(typed, all) }),
  without: () => values([...walls]),
};

/** What `--format` is for a command besides a template. */
function formatsOf(command: string): string[] {
  if (!command.startsWith('explain ')) return ['json', 'table'];
  return ['html', 'json', ...(command === 'explain run' ? ['sh'] : []), 'text'];
}

/** The filters of other lists than those of containers and images. */
const otherFilters: Readonly<Record<string, string>> = {
  events: 'container daemon event image label network scope type volume',
  network: 'dangling driver id label name scope type',
  volume: 'dangling driver label name',
};

/** `name=` and so on; behind it what that filter takes. */
function filterValues(typed: string, command: string): Completion {
  const [group = '', action = group] = command.split(' ');
  const isImages = group === 'images' || (group === 'image' && action !== 'prune');
  const names =
    action === 'prune'
      ? ['label', 'label!', 'until']
      : isImages
        ? [...imageFilters]
        : (otherFilters[action]?.split(' ') ?? otherFilters[group]?.split(' ') ?? [...containerFilters]);
  const equals = typed.indexOf('=');
  if (equals === -1)
    return values(
      names.sort().map((name) => `${name}=`),
      { open: true },
    );
  const name = typed.slice(0, equals);
  return values(filterValue(name, typed.slice(equals + 1)).map((value) => `${name}=${value}`));
}

function filterValue(name: string, typed: string): string[] {
  const names = (list: readonly Candidate[]): string[] => list.map(({ value }) => value);
  switch (name) {
    case 'status':
      return [...containerStates];
    case 'health':
      return [...healthStates];
    case 'dangling':
    case 'is-task':
      return ['true', 'false'];
    case 'ancestor':
    case 'image':
    case 'reference':
      return names(imageNames(typed));
    case 'name':
    case 'container':
    case 'before':
    case 'since':
      return names(containerNames(typed, all));
    case 'network':
      return names(networkNames());
    case 'volume':
      return names(volumeNames());
    case 'type':
      return ['container', 'image', 'network', 'volume'];
    default:
      return [];
  }
}

/** What the value of a flag of a command (`ps`, `network ls`) may be. */
export function flagValues(flag: Flag, typed: string, command: string): Completion {
  const source = sources[flag.aliasOf ?? flag.name];
  // A signal is a duration elsewhere, and --volume of rm takes none.
  return source === undefined || flag.type === 'bool' ? nothing : source(typed, command);
}
