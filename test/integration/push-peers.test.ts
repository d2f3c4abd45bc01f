/**
 * What was pushed is pulled and run by docker and podman, each in namespaces of its own with a registry beside it. With
 * TSRUN_TEST_PUSH_PEERS=1 only: two more engines to start are more than every run of the suite should wait for.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { registryBinary } from '../../scripts/images/registry.ts';
import { ociPath } from './oci-fixture.ts';
import { isInstalled, PeerHome, removePeerCgroups, stopDaemon } from './peer-home.ts';
import { tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const address = '127.0.0.1:5000';
const pushed = [`${address}/made/commit:v1`, `${address}/made/busybox:latest`];

const wanted = process.env.TSRUN_TEST_PUSH_PEERS === '1';

let home: PeerHome;
let registry: ChildProcess | undefined;
let ids: string[];
beforeAll(async () => {
  if (!wanted) return;
  home = await PeerHome.start();
  const storage = join(home.directory, 'storage');
  mkdirSync(storage);
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: address },
  };
  writeFileSync(join(home.directory, 'registry.yml'), JSON.stringify(config));
  const serve = ['env', 'OTEL_TRACES_EXPORTER=none', registryBinary(), 'serve', join(home.directory, 'registry.yml')];
  registry = await home.daemon(serve, ['curl', '-fsS', `http://${address}/v2/`]);

  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['run', '--name', 'maker', '--network', 'none', 'busybox', 'sh', '-c', 'echo made >/made; rm /bin/wc']);
  const changes = ['-c', 'CMD ["sh", "-c", "cat /made; test -e /bin/wc || echo gone; echo $NAME"]', '-c', 'ENV NAME=x'];
  await tsrunOk(['commit', '-m', 'a message', '-a', 'Jane', ...changes, 'maker', pushed[0] ?? '']);
  await tsrunOk(['rm', 'maker']);
  await tsrunOk(['tag', 'busybox', pushed[1] ?? '']);
  ids = [];
  for (const name of pushed) {
    const result = await home.run([tsrunPath, 'push', name]);
    expect(result.code, result.stderr).toBe(0);
    ids.push(await tsrunOk(['inspect', '-f', '{{.Id}}', name]));
  }
});
afterAll(async () => {
  if (!wanted) return;
  await tsrun(['rmi', '-f', ...pushed, 'busybox']);
  if (registry !== undefined) await stopDaemon(registry);
  await home.stop();
});
afterEach(() => removePeerCgroups(['tsrun-push-docker']));

const expected = 'made\ngone\nx\n';

test.skipIf(!wanted || !isInstalled('dockerd'))(
  'docker pulls and runs them (skipped without TSRUN_TEST_PUSH_PEERS=1)',
  { timeout: 180_000 },
  async () => {
    const data = join(home.directory, 'docker');
    mkdirSync(data);
    const socket = `unix://${data}/socket`;
    const docker = (...args: string[]) => home.run(['docker', '-H', socket, ...args]);
    const flags = ['--data-root', `${data}/root`, '--exec-root', `${data}/exec`, '--pidfile', `${data}/pid`];
    const runtime = ['--add-runtime', `tsrun=${ociPath}`, '--default-runtime', 'tsrun', '--log-level', 'warn'];
    const child = await home.daemon(
      ['dockerd', ...flags, ...runtime, '-H', socket, '--cgroup-parent', '/tsrun-push-docker'],
      ['docker', '-H', socket, 'info'],
    );
    for (const [index, name] of pushed.entries()) {
      const pulled = await docker('pull', '-q', name);
      expect(pulled.code, pulled.stderr).toBe(0);
      expect((await docker('inspect', '-f', '{{.Id}}', name)).stdout.trim()).toBe(ids[index]);
    }
    const ran = await docker('run', '--rm', '--network', 'none', pushed[0] ?? '');
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: expected });
    // And the other way: what docker pushes next finds all layers there.
    await docker('tag', pushed[0] ?? '', `${address}/made/by-docker`);
    const back = await docker('push', `${address}/made/by-docker`);
    expect(back.code, back.stderr).toBe(0);
    expect(back.stdout).not.toMatch(/: Pushed$/m);
    await stopDaemon(child);
  },
);

test.skipIf(!wanted || !isInstalled('podman') || !isInstalled('conmon'))(
  'podman pulls and runs them (skipped without TSRUN_TEST_PUSH_PEERS=1)',
  { timeout: 120_000 },
  async () => {
    const data = join(home.directory, 'podman');
    mkdirSync(data);
    writeFileSync(
      join(data, 'containers.conf'),
      `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime_supports_nocgroup = ["tsrun-oci"]\nruntime_supports_json = ["tsrun-oci"]\n[engine.runtimes]\ntsrun-oci = ["${ociPath}"]\n`,
    );
    const places = ['--root', `${data}/root`, '--runroot', `${data}/run`, '--tmpdir', `${data}/tmp`];
    const engine = ['--runtime', 'tsrun-oci', '--storage-driver', 'overlay'];
    const podman = (...args: string[]) =>
      home.run(['env', `CONTAINERS_CONF=${data}/containers.conf`, 'podman', ...places, ...engine, ...args]);
    for (const [index, name] of pushed.entries()) {
      const pulled = await podman('pull', '-q', '--tls-verify=false', name);
      expect(pulled.code, pulled.stderr).toBe(0);
      expect(`sha256:${pulled.stdout.trim()}`).toBe(ids[index]);
    }
    const ran = await podman('run', '--rm', '--network', 'none', '--cgroups', 'disabled', pushed[0] ?? '');
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: expected });
  },
);
