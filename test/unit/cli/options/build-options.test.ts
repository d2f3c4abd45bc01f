import { expect, test, vi } from 'vitest';
import { parseArguments } from '../../../../src/cli/arguments.ts';
import { buildFlags } from '../../../../src/cli/build-flags.ts';
import { type AskedBuild, askedBuild } from '../../../../src/cli/options/build-options.ts';

function asked(...words: string[]): AskedBuild {
  const { flags } = parseArguments(words, { command: 'tsrun build', flags: buildFlags, interspersed: true });
  return askedBuild(flags, '.');
}

test('without --output the image goes into the store, under the names of -t', () => {
  const names = [expect.objectContaining({ tag: '1' }), expect.objectContaining({ tag: '2' })];
  expect(asked('-t', 'a:1', '-t', 'b:2')).toMatchObject({ outputs: [{ kind: 'image', names }], pushed: [], notes: [] });
  expect(asked('--push', '-t', 'a:1', '-t', 'b:2')).toMatchObject({
    outputs: [{ kind: 'image', names }],
    pushed: names,
  });
  expect(asked('--push', '-t', 'a:1', '-t', 'b:2', '-o', 'x').outputs).toMatchObject([
    { kind: 'directory', path: 'x' },
    { kind: 'image', names },
  ]);
  expect(asked('-t', 'a:1', '-t', 'b:2', '-o', 'x')).toMatchObject({ outputs: [{ kind: 'directory' }], pushed: [] });
});

test('limits of commands', () => {
  const words = ['-m', '64m', '--cpu-quota', '50000', '-c', '9', '--ulimit', 'nofile=1', '--ulimit', 'nofile=2:3'];
  expect(asked(...words, '--add-host', 'a=[::1]').limits).toEqual({
    memory: 64 * 1024 * 1024,
    cpuQuota: 50_000,
    cpuShares: 9,
    ulimits: [{ name: 'nofile', soft: 2, hard: 3 }],
    extraHosts: ['a:::1'],
    shmSize: 64 * 1024 * 1024,
  });
});

test('what changes nothing is taken; where that may surprise, it is said', () => {
  const quiet = ['--rm', '--force-rm', '--compress', '--load', '--provenance=false', '--sbom=false', '--squash=false'];
  expect(asked(...quiet, '--isolation', 'default', '--attest', 'type=provenance,disabled=true').notes).toEqual([]);
  expect(asked('--cache-from', 'x', '--cache-to', 'y', '--rm=false', '--builder', 'b').notes).toHaveLength(4);
});

test('the platform is that of --platform, or of the environment', () => {
  vi.stubEnv('DOCKER_DEFAULT_PLATFORM', 'linux/arm64');
  try {
    expect(asked().platform).toMatchObject({ architecture: 'arm64' });
    expect(asked('--platform', 'linux/s390x').platform).toMatchObject({ architecture: 's390x' });
  } finally {
    vi.unstubAllEnvs();
  }
  expect(asked().platform).toBe(undefined);
});

test.each([
  [['--platform', 'linux/amd64,linux/arm64'], '"linux/amd64,linux/arm64" is not a platform'],
  [['-o', 'type=registry'], 'tag is needed when pushing to registry'],
  [['--push'], 'tag is needed when pushing to registry'],
  [['-o', 'type=tar', '-o', 'type=oci'], 'only one output can go to stdout'],
  [['-o', 'dest=x,foo=y'], 'type is required for output'],
  [['--squash'], 'tsrun build has no --squash'],
  [['--cgroup-parent', '/x'], 'tsrun build has no --cgroup-parent'],
  [['--security-opt', 'seccomp=unconfined'], 'tsrun build has no --security-opt'],
  [['--ssh', 'default'], 'tsrun build has no --ssh'],
  [['--sbom', 'true'], 'tsrun build has no --sbom'],
  [['--isolation', 'hyperv'], 'invalid isolation: hyperv'],
  [['--ulimit', 'nofile=2:1'], 'ulimit soft limit must be less than or equal to hard limit'],
  [['--memory', '1m'], 'Minimum memory limit allowed is 6MB'],
  [['--annotation', 'index:a=b'], 'annotations are for its manifest'],
  [['--annotation', 'a'], 'invalid annotation a: write NAME=VALUE'],
  [['--build-arg', '=x'], 'write NAME=VALUE'],
  [['--build-context', 'x'], 'invalid context value: x'],
  [['--build-context', 'x=oci-layout:///x'], 'oci-layout:///x is no context here'],
  [['--label', '=x'], "invalid label '=x': empty name"],
  [['--progress', 'rawjson'], 'invalid progress mode rawjson'],
  [['-t', ''], 'the name of -t is empty'],
])('%j is refused', (words, message) => expect(() => asked(...words)).toThrow(message));
