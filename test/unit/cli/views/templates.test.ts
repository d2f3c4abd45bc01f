/** The cases were recorded with docker, for a container that the flags below made. */
import { expect, test } from 'vitest';
import { compileTemplate } from '../../../../src/cli/format/template.ts';
import { containerDocument } from '../../../../src/cli/views/container-inspect.ts';
import { container, running } from './container.ts';
import { inspectCases } from './template-cases.ts';

// -d --name surface-web --network surfaceapp -p 127.0.0.1:18080:80 -p 127.0.0.1:18443:443/udp --expose 99
// -l com.example.a=1 -l b=x -e A=b -v /etc:/host:ro --tmpfs /t -w /tmp -u 1:2 --ulimit nofile=1024:2048
// --add-host h:1.2.3.4 --cap-add NET_ADMIN --hostname hh --restart on-failure:3 --log-opt max-size=10m --dns 9.9.9.9
// busybox sh -c 'sleep 1000'
const published = [
  { hostIp: '127.0.0.1', hostPort: 18080, containerPort: 80, protocol: 'tcp' as const },
  { hostIp: '127.0.0.1', hostPort: 18443, containerPort: 443, protocol: 'udp' as const },
];
const args = ['sh', '-c', 'sleep 1000'];
const state = running(published);
const attachment = state.start?.network.attachment;
const document = containerDocument(
  container({
    options: {
      command: args,
      env: ['A=b'],
      network: 'surfaceapp',
      publish: published.map((port) => ({ ...port, hostIp: '127.0.0.1' })),
      expose: ['99'],
      labels: { 'com.example.a': '1', b: 'x' },
      workingDir: '/tmp',
      user: '1:2',
      ulimits: [{ name: 'nofile', soft: 1024, hard: 2048 }],
      extraHosts: ['h:1.2.3.4'],
      capAdd: ['NET_ADMIN'],
      hostname: 'hh',
      restart: { name: 'on-failure', maximumRetryCount: 3 },
      log: { driver: 'json-file', maxSize: 10 * 1024 * 1024, given: { 'max-size': '10m' } },
      dns: ['9.9.9.9'],
      mounts: [
        {
          type: 'bind',
          source: '/etc',
          target: '/host',
          readOnly: true,
          mode: 'ro',
          propagation: 'rprivate',
          origin: { flag: 'volume', text: '/etc:/host:ro' },
        } as never,
        { type: 'tmpfs', source: '', target: '/t', mode: '', origin: { flag: 'tmpfs', text: '/t' } } as never,
      ],
    },
    record: {
      name: 'surface-web',
      labels: { 'com.example.a': '1', b: 'x' },
      hostname: 'hh',
      exposedPorts: ['99/tcp'],
      process: {
        args,
        entrypointLength: 0,
        env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=b'],
        cwd: '/tmp',
        user: '1:2',
        terminal: false,
        openStdin: false,
      },
      mounts: [
        {
          type: 'bind',
          source: '/etc',
          destination: '/host',
          mode: 'ro',
          readWrite: false,
          propagation: 'rprivate',
        },
        { type: 'tmpfs', source: '', destination: '/t', mode: '', readWrite: true, propagation: '' },
      ],
    },
    state: {
      ...state,
      ...(state.start && { start: { ...state.start, network: { mode: 'surfaceapp' } } }),
      attachments: attachment === undefined ? [] : [{ ...attachment, network: 'surfaceapp', bridge: 'br-1' }],
    },
  }),
  { layerPath: (chainId) => `/layers/${chainId}/fs` },
);

/** What `inspect -f` prints, or the message. */
function inspect(template: string): string {
  try {
    return compileTemplate(template, (field) => `map has no entry for key ${JSON.stringify(field)}`).apply(document);
  } catch (error) {
    return `ERROR template parsing error: ${(error as Error).message}`;
  }
}

test.each(inspectCases)('%s', (template, printed) => {
  expect(inspect(template)).toBe(printed);
});
