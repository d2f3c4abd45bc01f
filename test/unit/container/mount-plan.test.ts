import { expect, test } from 'vitest';
import { mountsOf } from '../../../src/cli/options/mounts.ts';
import { mountOption, parseVolumesFrom, planMounts } from '../../../src/container/mount-plan.ts';
import type { ContainerRecord } from '../../../src/container/record.ts';
import { container } from '../cli/views/container.ts';

const nobody = (text: string): ContainerRecord => {
  throw new Error(`No such container: ${text}`);
};
const places = (list: { destination: string }[]): string[] => list.map((mount) => mount.destination);

test("flags, then the image's volumes where nothing else is", () => {
  const mounts = mountsOf(['/a:/bound', 'data:/named:ro', '/anonymous'], ['type=tmpfs,dst=/memory'], ['/t:size=1m']);
  const plan = planMounts({ mounts }, ['/named', '/memory/', '/t', '/var/lib/x'], nobody);
  expect(plan).toMatchObject([
    { type: 'bind', source: '/a', destination: '/bound', readWrite: true, propagation: 'rprivate', mode: '' },
    { type: 'volume', name: 'data', destination: '/named', readWrite: false, propagation: '', mode: 'ro' },
    { type: 'tmpfs', destination: '/memory', mode: '' },
    { type: 'tmpfs', destination: '/t', mode: 'size=1m' },
    { type: 'volume', destination: '/anonymous', mode: '' },
    { type: 'volume', destination: '/var/lib/x', mode: '', readWrite: true },
  ]);
  expect(plan.filter((mount) => mount.name !== undefined)).toHaveLength(1);
});

test('a named volume whose flag says nothing shows the mode that docker shows', () => {
  const plan = planMounts({ mounts: mountsOf(['data:/a'], ['dst=/b'], []) }, [], nobody);
  expect(plan.map((mount) => mount.mode)).toEqual(['z', 'z']);
});

test('--volumes-from takes all mounts but those of --tmpfs, and yields to flags', () => {
  const asked = mountsOf(['/a:/bound:rslave', 'data:/named:ro', 'xx:/over'], [], ['/t']);
  const other = container({
    record: { mounts: planMounts({ mounts: asked }, ['/image'], nobody).map((mount) => ({ ...mount, source: '/s' })) },
  }).record;
  const options = { mounts: mountsOf(['mine:/over', '/image'], [], []), volumesFrom: ['other:ro'] };
  const plan = planMounts(options, ['/bound'], () => other);
  expect(places(plan)).toEqual(['/bound', '/named', '/over', '/image']);
  expect(plan.map((mount) => mount.readWrite)).toEqual([false, false, true, false]);
  expect(plan.map((mount) => mount.from)).toEqual([other.id, other.id, undefined, other.id]);
  expect(plan[0]).toMatchObject({ propagation: 'rslave', mode: '' });
  expect(plan[2]).toMatchObject({ name: 'mine', mode: 'z' });
  // What another container has is not filled from this one's image.
  expect(plan.map((mount) => mount.option?.volume?.noCopy === true)).toEqual([true, true, false, true]);
});

test('of several --volumes-from the last wins', () => {
  const record = (name: string): ContainerRecord => {
    const mounts = planMounts({ mounts: mountsOf([`${name}:/x`], [], []) }, [], nobody);
    return container({ record: { id: name, mounts } }).record;
  };
  expect(planMounts({ mounts: [], volumesFrom: ['one', 'two'] }, [], record)).toMatchObject([{ name: 'two' }]);
});

test('the mode of --volumes-from', () => {
  expect(parseVolumesFrom('web')).toEqual({ container: 'web', readOnly: false });
  expect(parseVolumesFrom('web:')).toEqual({ container: 'web', readOnly: false });
  expect(parseVolumesFrom('web:ro,z')).toEqual({ container: 'web', readOnly: true });
  expect(() => parseVolumesFrom('')).toThrow('volumes-from specification cannot be an empty string');
  for (const mode of ['foo', 'ro,rw', 'nocopy', 'rslave', 'z,Z']) {
    expect(() => parseVolumesFrom(`web:${mode}`)).toThrow(`invalid mode: ${mode}`);
  }
});

test('records of older versions have the option at the same index', () => {
  const [bind] = mountsOf(['/a:/b'], [], []);
  if (bind === undefined) throw new Error('no mount');
  const mount = {
    type: 'bind',
    source: '/a',
    destination: '/b',
    mode: '',
    readWrite: true,
    propagation: 'rprivate',
  } as const;
  const { record } = container({ record: { mounts: [mount] }, options: { mounts: [bind] } });
  expect(mountOption(record, 0)).toBe(bind);
});
