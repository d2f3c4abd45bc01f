import { describe, expect, test } from 'vitest';
import { CommandLineError, parseArguments, wrongCount } from '../../../src/cli/arguments.ts';
import type { Flag } from '../../../src/cli/flag.ts';
import { parseBytes } from '../../../src/cli/units.ts';

const flags: readonly Flag[] = [
  { name: 'env', short: 'e', type: 'list', description: '' },
  { name: 'interactive', short: 'i', type: 'bool', description: '' },
  { name: 'memory', short: 'm', type: 'bytes', description: '', check: parseBytes },
  { name: 'name', type: 'string', description: '' },
  { name: 'network', type: 'network', description: '' },
  { name: 'net', type: 'network', description: '', aliasOf: 'network', hidden: true },
  { name: 'publish', short: 'p', type: 'list', description: '' },
  { name: 'rm', type: 'bool', description: '' },
  { name: 'time', short: 't', type: 'int', description: '' },
  { name: 'tty', short: 'T', type: 'bool', description: '' },
  { name: 'filter', short: 'f', type: 'filter', description: '' },
];

function parse(argv: string[], interspersed = false): Record<string, unknown> {
  const parsed = parseArguments(argv, { command: 'tsrun run', flags, interspersed });
  const given: Record<string, unknown> = {};
  for (const flag of flags) {
    if (!parsed.flags.has(flag.name)) continue;
    const values = parsed.flags.strings(flag.name);
    given[flag.name] = flag.type === 'bool' ? parsed.flags.boolean(flag.name) : values.length > 1 ? values : values[0];
  }
  return { ...given, args: parsed.args };
}

describe('command lines are read as docker reads them', () => {
  test.each<[string[], Record<string, unknown>]>([
    [[], { args: [] }],
    [['-iT', 'x'], { interactive: true, tty: true, args: ['x'] }],
    [['-eA=b'], { env: 'A=b', args: [] }],
    [['-e', 'A=b'], { env: 'A=b', args: [] }],
    [['-e=A=b'], { env: 'A=b', args: [] }],
    [['--env=A=b'], { env: 'A=b', args: [] }],
    [['--env', 'A=b'], { env: 'A=b', args: [] }],
    [['-e', 'A', '-eB=', '--env', 'C=-x'], { env: ['A', 'B=', 'C=-x'], args: [] }],
    [['--rm=false', 'x'], { rm: false, args: ['x'] }],
    [['--rm', 'false'], { rm: true, args: ['false'] }],
    [['--rm=T'], { rm: true, args: [] }],
    [['-iT=false'], { interactive: true, tty: false, args: [] }],
    [['-ie', 'A=b'], { interactive: true, env: 'A=b', args: [] }],
    [['-ieA=b', 'x'], { interactive: true, env: 'A=b', args: ['x'] }],
    [['-p80:80'], { publish: '80:80', args: [] }],
    [['-p', '-1'], { publish: '-1', args: [] }],
    [['--name', '--rm'], { name: '--rm', args: [] }],
    [['--name='], { name: '', args: [] }],
    [['--name', ''], { name: '', args: [] }],
    [['--net', 'host'], { network: 'host', args: [] }],
    [['-t', '0x10'], { time: '0x10', args: [] }],
    [['-t-1'], { time: '-1', args: [] }],
    [['-'], { args: ['-'] }],
    [['--', '--rm'], { args: ['--rm'] }],
    [['x', '--', 'y'], { args: ['x', '--', 'y'] }],
    [['x', '--rm', '-i'], { args: ['x', '--rm', '-i'] }],
    [['--rm', 'image', 'sh', '-c', 'echo --name'], { rm: true, args: ['image', 'sh', '-c', 'echo --name'] }],
  ])('%j', (argv, expected) => {
    expect(parse(argv)).toEqual(expected);
  });

  test('flags may follow arguments where nothing else belongs to them', () => {
    expect(parse(['a', '--rm', 'b', '-t', '3', '--', '-i'], true)).toEqual({
      rm: true,
      time: '3',
      args: ['a', 'b', '-i'],
    });
  });

  test.each<[string[], string]>([
    [['--nme'], 'unknown flag: --nme\nDid you mean --name?'],
    [['--nme=x'], 'unknown flag: --nme\nDid you mean --name?'],
    [['--xyzzy'], 'unknown flag: --xyzzy'],
    [['--intera'], 'unknown flag: --intera\nDid you mean --interactive?'],
    [['-Z', 'x'], "unknown shorthand flag: 'Z' in -Z"],
    [['-iZ'], "unknown shorthand flag: 'Z' in -iZ"],
    [['--name'], 'flag needs an argument: --name'],
    [['-e'], "flag needs an argument: 'e' in -e"],
    [['-ie'], "flag needs an argument: 'e' in -ie"],
    [['---x'], 'bad flag syntax: ---x'],
    [['--=x'], 'bad flag syntax: --=x'],
    [['--rm=foo'], 'invalid argument "foo" for "--rm" flag: strconv.ParseBool: parsing "foo": invalid syntax'],
    [['-t', 'x'], 'invalid argument "x" for "-t, --time" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [['-m', '64x'], 'invalid argument "64x" for "-m, --memory" flag: invalid size: \'64x\''],
    [['-f', 'x'], 'invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)'],
  ])('%j is refused', (argv, message) => {
    let caught: unknown;
    try {
      parse(argv);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CommandLineError);
    expect(caught).toMatchObject({ message, exitCode: 125, hint: "See 'tsrun run --help'." });
  });
});

test.each<[number, { min: number; max?: number }, string | undefined]>([
  [0, { min: 1 }, '"tsrun x" requires at least 1 argument.'],
  [1, { min: 2 }, '"tsrun x" requires at least 2 arguments.'],
  [0, { min: 1, max: 1 }, '"tsrun x" requires exactly 1 argument.'],
  [2, { min: 1, max: 1 }, '"tsrun x" requires exactly 1 argument.'],
  [1, { min: 0, max: 0 }, '"tsrun x" accepts no arguments.'],
  [2, { min: 0, max: 1 }, '"tsrun x" requires at most 1 argument.'],
  [0, { min: 1, max: 2 }, '"tsrun x" requires at least 1 and at most 2 arguments.'],
  [5, { min: 1 }, undefined],
  [1, { min: 1, max: 1 }, undefined],
])('%i arguments where %j are wanted', (count, wanted, message) => {
  expect(wrongCount('tsrun x', count, wanted)).toBe(message);
});
