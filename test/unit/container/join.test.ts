import { closeSync, fstatSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openNamespace } from '../../../src/container/join.ts';
import type { Container, ContainerState } from '../../../src/container/record.ts';
import { bootId } from '../../../src/container/state.ts';
import { processStartTime } from '../../../src/linux/process.ts';
import { containerRecord } from '../../fixtures/container-record.ts';

function container(state: Partial<ContainerState>, startTime = processStartTime(process.pid) ?? ''): Container {
  const network = { mode: 'none' };
  const start = {
    pid: process.pid,
    startTime,
    bootId: bootId(),
    monitorPid: 0,
    monitorStartTime: '',
    cgroup: '',
    network,
  };
  const all = { status: 'running', pid: process.pid, start, ...state } as ContainerState;
  return { record: containerRecord('web'), state: all, directory: '/nowhere' };
}

test('the namespace of the first process is opened', () => {
  const fd = openNamespace(container({}), 'net', 'network');
  expect(fstatSync(fd).ino).toBe(statSync('/proc/self/ns/net').ino);
  closeSync(fd);
});

test('another process that has its pid is not joined, and neither is a container between two runs', () => {
  expect(() => openNamespace(container({}, '1'), 'net', 'network')).toThrow(/cannot join network of a non running/);
  expect(() => openNamespace(container({ pid: 0, status: 'exited' }), 'pid', 'pid namespace')).toThrow(/non running/);
  expect(() => openNamespace(container({ pid: 0, status: 'restarting' }), 'ipc', 'ipc')).toThrow(/is restarting/);
});
