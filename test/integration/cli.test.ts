import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

let directory: string;
beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-cli.');
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('wrong command lines: docker’s words, on stderr, with docker’s exit codes', () => {
  test.each<[string[], number, string]>([
    [['run', '--nme', 'x'], 125, "unknown flag: --nme\nDid you mean --name?\nSee 'tsrun run --help'.\n"],
    [['run', '-Z', 'x'], 125, "unknown shorthand flag: 'Z' in -Z\nSee 'tsrun run --help'.\n"],
    [['run', '--name'], 125, "flag needs an argument: --name\nSee 'tsrun run --help'.\n"],
    [['run', '-m', 'x', 'y'], 125, 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\'\n'],
    [['run'], 1, '"tsrun run" requires at least 1 argument.\nSee \'tsrun run --help\'.\n\nUsage:  tsrun run [OPTIONS]'],
    [['ps', 'x'], 1, '"tsrun ps" accepts no arguments.'],
    [['logs', 'a', 'b'], 1, '"tsrun logs" requires exactly 1 argument.'],
    [['rnu'], 1, "tsrun: 'rnu' is not a tsrun command.\nDid you mean 'run'?\nSee 'tsrun --help'\n"],
    [['container', 'sl'], 1, "tsrun: 'container sl' is not a tsrun command.\nDid you mean 'container ls'?"],
    [['--foo'], 125, "unknown flag: --foo\nSee 'tsrun --help'.\n"],
    [['-H', 'tcp://x', 'ps'], 125, 'unknown flag: -H\ntsrun has no daemon'],
    [['help', 'nope'], 1, 'unknown help topic: nope\n'],
    [['run', '--memory', '1m', 'busybox'], 125, 'tsrun: Minimum memory limit allowed is 6MB\n'],
    [['run', '--restart', 'foo', 'busybox'], 125, "tsrun: invalid restart policy 'foo'\n"],
    [['run', '-it', 'busybox', 'sh'], 1, 'tsrun: the input device is not a TTY\n'],
    [['inspect', '--type', 'foo', 'x'], 1, 'tsrun: "foo" is not a valid value for --type\n'],
    [['ps', '--filter', 'foo=bar'], 1, "tsrun: Invalid filter 'foo'\n"],
    [['ps', '--format', '{{.Names'], 1, 'tsrun: failed to parse template: template: :1: unclosed action\n'],
    [['pull', 'UPPER'], 1, 'tsrun: invalid reference format'],
    [['run', 'UPPER'], 125, 'tsrun: invalid reference format'],
    [['stop', 'nope'], 1, 'Error: No such container: nope\n'],
    [['logs', 'nope'], 1, 'Error: No such container: nope\n'],
    [['rmi', 'nope'], 1, 'Error: No such image: nope:latest\n'],
    [['start', 'nope'], 1, 'Error: No such container: nope\n'],
  ])('tsrun %j', async (args, code, message) => {
    const result = await tsrun(args);
    expect(result.stderr).toContain(message);
    expect(result).toMatchObject({ code, stdout: '' });
  });
});

test('what does not exist is [] on stdout and an error on stderr', async () => {
  expect(await tsrun(['inspect', 'nope'])).toMatchObject({
    code: 1,
    stdout: '[]\n',
    stderr: 'Error: No such object: nope\n',
  });
  expect((await tsrun(['image', 'inspect', 'nope'])).stderr).toBe('Error: No such image: nope\n');
  expect(await tsrun(['inspect', '-f', '{{.Id}}', 'nope'])).toMatchObject({ code: 1, stdout: '\n' });
});

test('help goes to stdout, by flag, by word, and without anything', async () => {
  const byFlag = await tsrun(['ps', '--help']);
  expect(byFlag).toMatchObject({ code: 0, stderr: '' });
  expect(byFlag.stdout).toMatch(/^\nUsage: {2}tsrun ps \[OPTIONS\]\n/);
  expect((await tsrun(['help', 'ps'])).stdout).toBe(byFlag.stdout);
  const bare = await tsrun([]);
  expect(bare).toMatchObject({ code: 0, stderr: '' });
  expect(bare.stdout).toContain('Usage:  tsrun [OPTIONS] COMMAND');
  expect((await tsrun(['container'])).stdout).toContain('Usage:  tsrun container COMMAND');
});

test('-h is the hostname in run, and help elsewhere', async () => {
  const named = await tsrun(['run', '--rm', '--network', 'none', '-h', 'box', 'busybox', 'hostname']);
  expect(named).toMatchObject({ code: 0, stdout: 'box\n' });
  expect((await tsrun(['ps', '-h'])).stdout).toContain('Usage:  tsrun ps');
});

test('flags behind the image belong to the command', async () => {
  const result = await tsrun(['run', '--rm', '--network', 'none', 'busybox', 'echo', '--rm', '-it', '--', '--help']);
  expect(result).toMatchObject({ code: 0, stdout: '--rm -it -- --help\n' });
});

test('--env-file is for the container alone: Node does not read it', async () => {
  const path = join(directory, 'env');
  writeFileSync(path, 'NODE_OPTIONS=--no-such-option\nTSRUN_ROOT=/nowhere\nA=b\n');
  const result = await tsrun(['run', '--rm', '--network', 'none', '--env-file', path, 'busybox', 'env']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toContain('NODE_OPTIONS=--no-such-option\nTSRUN_ROOT=/nowhere\nA=b\n');
  const missing = await tsrun(['run', '--env-file', '/nope', 'busybox']);
  expect(missing).toMatchObject({ code: 125 });
  expect(missing.stderr).toContain('tsrun: open /nope: no such file or directory');
});

test('output into a reader that leaves ends quietly', async () => {
  const { code, stdout, stderr } = await run('bash', [
    '-c',
    `set -o pipefail; ${tsrunPath} run --help | true; echo "\${PIPESTATUS[0]}"; ${tsrunPath} images | head -1`,
  ]);
  expect(stderr).toBe('');
  // 141 where the reader was gone before the text came, 0 where it still fitted into the pipe.
  expect(stdout).toMatch(/^(141|0)\nREPOSITORY .*\n$/);
  expect([0, 141]).toContain(code);
});

test('version and help load neither koffi nor anything else that is heavy', async () => {
  const hook = join(directory, 'hook.cjs');
  writeFileSync(
    hook,
    `const Module = require('node:module');
     const load = Module._load;
     const seen = new Set();
     Module._load = function (name, ...rest) { seen.add(name); return load.call(this, name, ...rest); };
     process.on('exit', () => process.stderr.write([...seen].sort().join(' ')));`,
  );
  for (const args of [['version'], ['--version'], ['--help'], ['ps', '--help']]) {
    const { stderr } = await tsrun(args, { env: { NODE_OPTIONS: `-r ${hook}` } });
    const loaded = stderr.split(' ');
    for (const heavy of ['koffi', 'node:http', 'node:https', 'node:net', 'node:child_process', 'node:zlib']) {
      if (args[0] === 'ps' && heavy === 'node:net') continue;
      expect(loaded, args.join(' ')).not.toContain(heavy);
    }
  }
});

test('versions, for people and for scripts', async () => {
  const { stdout } = await tsrun(['version']);
  const version = /^tsrun:\n Version: +(\S+)\n/.exec(stdout)?.[1];
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  expect(await tsrunOk(['--version'])).toBe(`tsrun version ${version}`);
  expect(await tsrunOk(['version', '--format', '{{.Server.Version}} {{.Client.Os}}'])).toBe(`${version} linux`);
  expect(JSON.parse(await tsrunOk(['version', '--format', 'json']))).toMatchObject({ Client: { Version: version } });
  expect(await tsrun(['version', '-f', '{{.Foo}}'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("can't evaluate field Foo in type version"),
  });
});

test('info tells what limits can be held, and where everything is', async () => {
  const { stdout, code } = await tsrun(['info']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Version: .*\nContainers: 0\n Running: 0\n/);
  expect(stdout).toContain(`\nRoot Dir: ${process.env.TSRUN_ROOT ?? ''}`);
  const document = JSON.parse(await tsrunOk(['info', '--format', 'json']));
  expect(document).toMatchObject({ Containers: 0, Images: expect.any(Number), Driver: 'overlay2', OSType: 'linux' });
  expect(await tsrunOk(['system', 'info', '-f', '{{.Containers}} {{len .SecurityOptions}}'])).toBe('0 1');
});

test('--root and --state say where, as the environment does', async () => {
  const root = join(directory, 'root');
  expect(await tsrunOk(['--root', root, 'images', '-q'])).toBe('');
  expect(await tsrunOk(['--root', root, 'info', '-f', '{{.DockerRootDir}}'])).toBe(root);
});

test('--debug tells every step', async () => {
  const { stderr, stdout } = await tsrun(['--debug', 'run', '--rm', '--network', 'none', 'busybox', 'echo', 'hi']);
  expect(stdout).toBe('hi\n');
  expect(stderr).toMatch(/^\[ *[\d.]+ ms\] monitor: start the monitor \([\d.]+ ms\)$/m);
});

test.skipIf(!existsSync(join(checkout, 'dist/tsrun')))(
  'the executable needs neither Node nor the checkout',
  async () => {
    const at = mkdtempSync('/var/tmp/tsrun-alone.');
    try {
      const alone = join(at, 'tsrun');
      copyFileSync(join(checkout, 'dist/tsrun'), alone);
      const options = { env: { PATH: at, TSRUN_RUNTIME: '' } };
      const flags = ['--network', 'none', '--name', 'alone'];
      expect(await run(alone, ['run', '--rm', ...flags, 'busybox', 'echo', 'hi'], options)).toMatchObject({
        code: 0,
        stdout: 'hi\n',
      });
      // Cleaned up by its monitor, which starts the executable for that.
      expect((await run(alone, ['run', '-d', '--rm', ...flags, 'busybox', 'true'], options)).code).toBe(0);
      await expect.poll(async () => (await run(alone, ['ps', '-aq'], options)).stdout, { timeout: 10_000 }).toBe('');
      expect(readdirSync(at)).toEqual(['tsrun']);
    } finally {
      rmSync(at, { recursive: true });
    }
  },
);
