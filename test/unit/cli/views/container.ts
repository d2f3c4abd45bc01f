/** A container for the tests of what is shown of one. */
import type { Container, ContainerRecord, ContainerState } from '../../../../src/container/record.ts';
import type { RunOptions } from '../../../../src/container/run-options.ts';
import { runOptions } from '../../../fixtures/run-options.ts';

export const id = 'ecaccff0ac7789399ac3e35c0d59f7f9bc31cd0bf0c27d4942375c888bf20b00';
export const imageId = 'sha256:412bdff557f0f48db8dc432cf52253b8e75fed139ddf23aaab67ef40a4b60fe1';

const options = runOptions({
  image: 'busybox',
  command: ['sh', '-c', 'echo hello; sleep 1000'],
  detach: true,
  env: ['A=b'],
  network: 'default',
});

export function container(
  change: { record?: Partial<ContainerRecord>; options?: Partial<RunOptions>; state?: Partial<ContainerState> } = {},
): Container {
  return {
    directory: `/root/containers/${id}`,
    record: {
      version: 1,
      id,
      name: 'web',
      created: '2026-11-23T22:57:27.846Z',
      image: { id: imageId, reference: 'busybox', layers: ['sha256:aa', 'sha256:bb'] },
      process: {
        args: ['sh', '-c', 'echo hello; sleep 1000'],
        entrypointLength: 0,
        env: ['PATH=/bin', 'A=b'],
        cwd: '/',
        user: '',
        terminal: false,
        openStdin: false,
      },
      hostname: id.slice(0, 12),
      labels: {},
      exposedPorts: [],
      volumes: [],
      stopSignal: 'SIGTERM',
      stopTimeout: 10,
      mounts: [],
      ...change.record,
      options: { ...options, ...change.options },
    },
    state: {
      status: 'exited',
      unsupervised: false,
      pid: 0,
      exitCode: 0,
      oomKilled: false,
      error: '',
      startedAt: '2026-11-23T22:57:28.000Z',
      finishedAt: '2026-11-23T22:57:30.000Z',
      start: undefined,
      restartCount: 0,
      health: undefined,
      ...change.state,
    },
  };
}

/** The state of a container that runs in the bridge network. */
export function running(
  ports: { hostIp: string; hostPort: number; containerPort: number; protocol: 'tcp' | 'udp' }[],
): Partial<ContainerState> {
  return {
    status: 'running',
    pid: 4711,
    finishedAt: undefined,
    start: {
      pid: 4711,
      startTime: '1',
      bootId: 'b',
      monitorPid: 4710,
      monitorStartTime: '0',
      startedAt: '2026-11-23T22:57:28.000Z',
      cgroup: '',
      network: {
        mode: 'bridge',
        attachment: {
          network: 'bridge',
          bridge: 'tsrun0',
          address: '172.30.0.2',
          prefix: 16,
          gateway: '172.30.0.1',
          mac: '02:42:ac:1e:00:02',
          hostInterface: 'veth1',
          ports,
        },
      },
    },
  };
}
