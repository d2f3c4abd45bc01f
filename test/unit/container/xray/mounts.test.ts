import { expect, test } from 'vitest';
import { describeMounts, parseMountinfo } from '../../../../src/container/xray/mounts.ts';
import { containerRecord } from '../../../fixtures/container-record.ts';

const mountinfo = `10 1 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/a
11 10 8:1 /a\\040b /data ro - ext4 /dev/sda rw
12 10 0:41 / /proc rw,nosuid - proc proc rw
13 12 0:41 /sys /proc/sys ro - proc proc rw
14 12 0:5 /null /proc/keys rw - devtmpfs devtmpfs rw
15 12 0:6 / /proc/acpi ro - tmpfs tmpfs ro
16 10 0:7 / /dev rw - tmpfs tmpfs rw
17 10 0:8 / /dev/shm rw - tmpfs shm rw
18 10 8:1 /x/hosts /etc/hosts rw - ext4 /dev/sda rw
`;

test('each mount is told by what it is for', () => {
  const mounts = [
    { type: 'bind', source: '/srv/a b', destination: '/data/', mode: '', readWrite: false, propagation: '' } as const,
  ];
  const found = describeMounts(parseMountinfo(mountinfo), { ...containerRecord('box'), mounts });
  expect(found.map(({ point, kind }) => [point, kind])).toEqual([
    ...[
      ['/', 'root'],
      ['/data', 'host'],
      ['/proc', 'kernel'],
      ['/proc/sys', 'readOnly'],
      ['/proc/keys', 'hidden'],
    ],
    ...[
      ['/proc/acpi', 'hidden'],
      ['/dev', 'kernel'],
      ['/dev/shm', 'memory'],
      ['/etc/hosts', 'names'],
    ],
  ]);
  expect(found[1]).toMatchObject({ root: '/a b', from: '/srv/a b', options: ['ro'], source: '/dev/sda' });
});
