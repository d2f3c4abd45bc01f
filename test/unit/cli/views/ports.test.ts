import { expect, test } from 'vitest';
import { formatPorts, type PortBinding, publishedPorts } from '../../../../src/cli/views/ports.ts';

const port = (containerPort: number, hostPort?: number, ip = '', protocol = 'tcp'): PortBinding => ({
  containerPort,
  protocol,
  ...(hostPort === undefined ? {} : { host: { ip, port: hostPort } }),
});

test.each<[PortBinding[], string]>([
  [[], ''],
  [[port(80, 8080)], '0.0.0.0:8080->80/tcp'],
  [[port(80, 80)], '0.0.0.0:80->80/tcp'],
  [[port(80, 8080, '127.0.0.1'), port(443)], '443/tcp, 127.0.0.1:8080->80/tcp'],
  [[port(82), port(81), port(83), port(99, undefined, '', 'udp')], '81-83/tcp, 99/udp'],
  [
    [port(9000, 9000, '', 'udp'), port(9001, 9001, '', 'udp'), port(9003, 9003, '', 'udp')],
    '0.0.0.0:9000-9001->9000-9001/udp, 0.0.0.0:9003->9003/udp',
  ],
  [[port(9000, 19000), port(9001, 19001)], '0.0.0.0:19000->9000/tcp, 0.0.0.0:19001->9001/tcp'],
  [[port(53, 53), port(53, 53, '', 'udp')], '0.0.0.0:53->53/tcp, 0.0.0.0:53->53/udp'],
  [[port(80, 8081), port(80, 8080)], '0.0.0.0:8080->80/tcp, 0.0.0.0:8081->80/tcp'],
])('%j', (bindings, text) => {
  expect(formatPorts(bindings)).toBe(text);
});

test('published ports are listed by number, each with its address on the host', () => {
  const ports = publishedPorts([
    { containerPort: 443, protocol: 'tcp' },
    { containerPort: 90, protocol: 'udp', host: { ip: '0.0.0.0', port: 9000 } },
    { containerPort: 80, protocol: 'tcp', host: { ip: '127.0.0.1', port: 8080 } },
    { containerPort: 80, protocol: 'tcp', host: { ip: '', port: 8081 } },
  ]);
  expect(ports.map(({ key, address }) => `${key} -> ${address}`)).toEqual([
    '80/tcp -> 127.0.0.1:8080',
    '80/tcp -> 0.0.0.0:8081',
    '90/udp -> 0.0.0.0:9000',
  ]);
});
