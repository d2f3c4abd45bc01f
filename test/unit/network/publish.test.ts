import { expect, test } from 'vitest';
import { TsrunError } from '../../../src/error.ts';
import { parsePublish } from '../../../src/network/publish.ts';

const any = { hostIp: '', protocol: 'tcp' };

test.each([
  ['80', [{ ...any, hostPort: 0, containerPort: 80 }]],
  ['8080:80', [{ ...any, hostPort: 8080, containerPort: 80 }]],
  ['8080:80/UDP', [{ ...any, hostPort: 8080, containerPort: 80, protocol: 'udp' }]],
  ['8080:80/', [{ ...any, hostPort: 8080, containerPort: 80 }]],
  ['127.0.0.1:8080:80', [{ hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]],
  ['127.0.0.1::80', [{ hostIp: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp' }]],
  [':80', [{ ...any, hostPort: 0, containerPort: 80 }]],
  ['::80', [{ ...any, hostPort: 0, containerPort: 80 }]],
  ['0.0.0.0:80:80', [{ hostIp: '0.0.0.0', hostPort: 80, containerPort: 80, protocol: 'tcp' }]],
  [
    '8000-8001:80-81',
    [
      { ...any, hostPort: 8000, containerPort: 80 },
      { ...any, hostPort: 8001, containerPort: 81 },
    ],
  ],
  [
    '80-81/udp',
    [
      { ...any, hostPort: 0, containerPort: 80, protocol: 'udp' },
      { ...any, hostPort: 0, containerPort: 81, protocol: 'udp' },
    ],
  ],
  ['8000-8010:80', [{ ...any, hostPort: 8000, hostPortEnd: 8010, containerPort: 80 }]],
])('%s', (spec, expected) => {
  expect(parsePublish(spec)).toEqual(expected);
});

test.each([
  ['', 'no port specified: <empty>'],
  ['8080:', 'no port specified: 8080:<empty>'],
  ['8080:/tcp', 'no port specified: 8080:/tcp<empty>'],
  ['80:abc', 'invalid containerPort: abc'],
  ['80:65536', 'invalid containerPort: 65536'],
  ['80:0', 'invalid containerPort: 0'],
  ['80:90-80', 'invalid containerPort: 90-80'],
  ['x:80', 'invalid hostPort: x'],
  ['70000:80', 'invalid hostPort: 70000'],
  ['8010-8000:80', 'invalid hostPort: 8010-8000'],
  ['8000-8010:80-81', 'invalid ranges specified for container and host Ports: 80-81 and 8000-8010'],
  ['80:80/icmp', 'invalid proto: icmp'],
  ['localhost:80:80', 'invalid IP address: localhost'],
  ['1.2.3:80:80', 'invalid IP address: 1.2.3'],
  ['[]:80:80', 'invalid IP address: []'],
  ['[::1:80:80', "invalid IP address [::1: address [::1:: missing ']' in address"],
])('%j is refused as docker refuses it', (spec, message) => {
  const error = refusal(spec);
  expect([error.code, error.message]).toEqual(['USAGE', message]);
});

test.each([
  ['[::1]:80:81', '::1', 80],
  ['::1:80:81', '::1', 80],
  ['[FD00:0::2]::81', 'fd00::2', 0],
])('%s is a port of an IPv6 address', (spec, hostIp, hostPort) => {
  expect(parsePublish(spec)).toEqual([{ hostIp, hostPort, containerPort: 81, protocol: 'tcp' }]);
});

test('sctp is understood, and said to be unsupported', () => {
  const error = refusal('80:80/sctp');
  expect([error.code, error.message]).toEqual(['UNSUPPORTED', 'cannot publish sctp ports']);
  expect(error.hint).toBeDefined();
});

function refusal(spec: string): TsrunError {
  try {
    parsePublish(spec);
  } catch (error) {
    if (error instanceof TsrunError) return error;
    throw error;
  }
  throw new Error(`${spec} was accepted`);
}
