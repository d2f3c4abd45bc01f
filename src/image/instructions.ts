/**
 * The instructions that `commit --change` and `import --change` take: those of a Dockerfile that change nothing but the
 * config of the image, by the Dockerfile reference and in docker's words where they are wrong.
 */
import { TsrunError } from '../error.ts';
import type { ImageExecution, ImageHealthcheck } from './config.ts';
import { expandWord, splitWords } from './shell-word.ts';

/** Applies the instructions, in their order, to a config. Throws `USAGE`. */
export function applyInstructions(lines: readonly string[], base: ImageExecution): ImageExecution {
  const execution = structuredClone(base);
  for (const line of lines) applyOne(line, execution);
  return execution;
}

/** What one instruction does to a config: `rest` is what follows its name; `expand` takes quotes away and puts values in. */
type Apply = (rest: string, execution: ImageExecution, expand: (word: string) => string) => void;

/** Whether an instruction changes nothing but the config. `name` in small letters. */
export function isConfigInstruction(name: string): boolean {
  return Object.hasOwn(instructions, name);
}

/** Applies one of those. Throws `USAGE`. */
export function applyInstruction(
  name: string,
  rest: string,
  execution: ImageExecution,
  expand: (word: string) => string,
): void {
  instructions[name]?.(rest, execution, expand);
}

function usage(message: string): TsrunError {
  return new TsrunError('USAGE', message, {
    hint: 'what --change takes are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, USER, VOLUME and WORKDIR',
  });
}

const instructions: Readonly<Record<string, Apply>> = {
  cmd(rest, execution) {
    execution.cmd = command(rest, execution);
  },
  entrypoint(rest, execution) {
    execution.entrypoint = command(rest, execution);
  },
  env(rest, execution, expand) {
    for (const [name, value] of pairs(rest, 'ENV')) {
      const key = expand(name);
      if (key === '') throw usage('ENV names can not be blank');
      const entry = `${key}=${expand(value)}`;
      const at = execution.env.findIndex((known) => known.startsWith(`${key}=`));
      if (at === -1) execution.env.push(entry);
      else execution.env[at] = entry;
    }
  },
  expose(rest, execution, expand) {
    const ports = words(rest, 'EXPOSE').flatMap((word) => exposedPorts(expand(word)));
    execution.exposedPorts = [...new Set([...execution.exposedPorts, ...ports])].sort();
  },
  healthcheck(rest, execution) {
    execution.healthcheck = healthcheck(rest);
  },
  label(rest, execution, expand) {
    for (const [name, value] of pairs(rest, 'LABEL')) {
      const key = expand(name);
      if (key === '') throw usage('LABEL names can not be blank');
      execution.labels = { ...execution.labels, [key]: expand(value) };
    }
  },
  onbuild(rest, execution) {
    const trigger = /^\S+/.exec(rest)?.[0].toUpperCase();
    if (trigger === undefined) throw usage('ONBUILD requires at least one argument');
    if (trigger === 'ONBUILD') throw usage("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger === 'MAINTAINER' || trigger === 'FROM') throw usage(`${trigger} isn't allowed as an ONBUILD trigger`);
    execution.onBuild.push(rest);
  },
  user(rest, execution, expand) {
    execution.user = expand(one(rest, 'USER'));
  },
  volume(rest, execution, expand) {
    const paths = (parseArray(rest) ?? words(rest, 'VOLUME')).map(expand);
    if (paths.length === 0) throw usage('VOLUME requires at least one argument');
    if (paths.some((path) => path.trim() === '')) throw usage('VOLUME specified can not be an empty string');
    execution.volumes = [...new Set([...execution.volumes, ...paths])].sort();
  },
  workdir(rest, execution, expand) {
    const path = expand(one(rest, 'WORKDIR'));
    const whole = path.startsWith('/') ? path : `${execution.workingDir}/${path}`;
    const parts: string[] = [];
    for (const part of whole.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    execution.workingDir = `/${parts.join('/')}`;
  },
};

function applyOne(line: string, execution: ImageExecution): void {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) throw usage('file with no instructions');
  const name = /^\S+/.exec(text)?.[0] ?? '';
  const apply = Object.hasOwn(instructions, name.toLowerCase()) ? instructions[name.toLowerCase()] : undefined;
  if (apply === undefined) throw usage(`${name.toLowerCase()} is not a valid change command`);
  const variables = new Map(execution.env.map((entry) => splitOnce(entry)));
  apply(text.slice(name.length).trim(), execution, (word) => expandWord(word, variables));
}

/** `NAME=VALUE`; without a sign the value is empty. */
export function splitOnce(entry: string): [name: string, value: string] {
  const equals = entry.indexOf('=');
  return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

function words(rest: string, name: string): string[] {
  const result = splitWords(rest);
  if (result.length === 0) throw usage(`${name} requires at least one argument`);
  return result;
}

function one(rest: string, name: string): string {
  if (rest === '') throw usage(`${name} requires exactly one argument`);
  return rest;
}

/** `NAME=VALUE …`, or in the old form `NAME VALUE WITH BLANKS`. */
function pairs(rest: string, name: string): [string, string][] {
  const list = words(rest, name);
  const [first = ''] = list;
  if (!first.includes('=')) {
    if (list.length < 2) throw usage(`${name} must have two arguments`);
    return [[first, rest.slice(first.length).trim()]];
  }
  return list.map((word) => {
    if (!word.includes('=')) {
      throw usage(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    }
    return splitOnce(word);
  });
}

/** A JSON array of strings, the exec form; undefined for everything else, which docker then takes as it stands. */
export function parseArray(text: string): string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The exec form, or the shell form with the image's shell. */
function command(rest: string, execution: ImageExecution): string[] {
  const array = parseArray(rest);
  if (array !== undefined) return array;
  const shell = execution.shell.length > 0 ? execution.shell : ['/bin/sh', '-c'];
  return rest === '' ? [...shell] : [...shell, rest];
}

const portMax = 65_535;

/** `80`, `90/udp`, `100-102/tcp`. */
function exposedPorts(text: string): string[] {
  const [range = '', protocol = 'tcp', ...more] = text.split('/');
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  const known = ['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase());
  if (match === null || more.length > 0 || first > last || last > portMax)
    throw usage(`Invalid containerPort: ${text}`);
  if (!known) throw usage(`Invalid proto: ${protocol}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

const nanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's durations, in nanoseconds. */
function duration(text: string, name: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)];
  if (text !== '0' && (parts.length === 0 || parts.map(([part]) => part).join('') !== text)) {
    const missing = /^[\d.]+$/.test(text);
    throw usage(`time: ${missing ? 'missing unit in' : 'invalid'} duration ${JSON.stringify(text)}`);
  }
  const total = parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (nanoseconds[unit] ?? 0), 0);
  if (total !== 0 && total < 1e6) throw usage(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  return total;
}

function healthcheck(rest: string): ImageHealthcheck {
  const check: ImageHealthcheck = { test: [], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  let text = rest;
  for (let match = flag(text); match !== null; match = flag(text)) {
    const [whole, name = '', value = ''] = match;
    text = text.slice(whole.length).trim();
    if (name === 'interval') check.interval = duration(value, name);
    else if (name === 'timeout') check.timeout = duration(value, name);
    else if (name === 'start-period') check.startPeriod = duration(value, name);
    else if (name === 'start-interval') check.startInterval = duration(value, name);
    else if (name === 'retries') {
      if (!/^\d+$/.test(value) || Number(value) < 1) throw usage(`--retries must be at least 1 (not ${value})`);
      check.retries = Number(value);
    } else throw usage(`Unknown flag: ${name}`);
  }
  const type = /^\S*/.exec(text)?.[0] ?? '';
  const argument = text.slice(type.length).trim();
  if (type === '') throw usage('HEALTHCHECK requires at least one argument');
  if (type.toUpperCase() === 'NONE') {
    if (argument !== '') throw usage('HEALTHCHECK NONE takes no arguments');
    return { ...check, test: ['NONE'] };
  }
  if (type.toUpperCase() !== 'CMD')
    throw usage(`Unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`);
  if (argument === '') throw usage('Missing command after HEALTHCHECK CMD');
  const array = parseArray(argument);
  return { ...check, test: array === undefined ? ['CMD-SHELL', argument] : ['CMD', ...array] };
}

function flag(text: string): RegExpExecArray | null {
  return /^--([a-z-]+)=(\S*)/.exec(text);
}
