/** `--link`: how containers found each other before networks of users, as old courses have it. */
import { afterEach, expect, test } from 'vitest';
import { inside, removeAll, sleeper } from './network-people.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

afterEach(removeAll);

test('a linked container is known by name and alias, by variables, and follows a restart and a rename', async () => {
  await tsrunOk(['run', '-d', '--name', 'db', '--expose', '5432', '-e', 'SECRET=x', ...sleeper]);
  const web = ['run', '-d', '--name', 'web', '--link', 'db:my-db', '--link', 'db', '-e', 'DB_NAME=own', ...sleeper];
  await tsrunOk(web);
  const address = await tsrunOk(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'db']);
  expect(await inside('web', 'ping -c 1 -w 3 my-db && ping -c 1 -w 3 db')).toContain('1 packets received');
  const variables = (await inside('web', 'tr "\\0" "\\n" </proc/1/environ')).split('\n');
  expect(variables).toEqual(
    expect.arrayContaining([
      `MY_DB_PORT=tcp://${address}:5432`,
      `MY_DB_PORT_5432_TCP=tcp://${address}:5432`,
      `MY_DB_PORT_5432_TCP_ADDR=${address}`,
      'MY_DB_PORT_5432_TCP_PORT=5432',
      'MY_DB_PORT_5432_TCP_PROTO=tcp',
      'MY_DB_NAME=/web/my-db',
      'MY_DB_ENV_SECRET=x',
      'DB_NAME=own',
    ]),
  );
  // A command has them as well, from where it is now.
  const own = (name: string) => tsrunOk(['exec', '-e', 'DB_ENV_SECRET=mine', 'web', 'sh', '-c', `echo $${name}`]);
  expect(await own('MY_DB_PORT_5432_TCP_ADDR')).toBe(address);
  expect([await own('DB_NAME'), await own('DB_ENV_SECRET')]).toEqual(['own', 'mine']);
  expect(await tsrunOk(['inspect', '-f', '{{json .HostConfig.Links}}', 'web'])).toBe(
    '["/db:/web/my-db","/db:/web/db"]',
  );
  // Nobody else is told, and it is not told of its own links.
  expect(await inside('db', 'cat /etc/hosts')).not.toContain('web');

  // Another takes its address meanwhile.
  await tsrunOk(['stop', '-t', '0', 'db']);
  await tsrunOk(['run', '-d', '--name', 'squatter', ...sleeper]);
  await tsrunOk(['start', 'db']);
  const moved = await tsrunOk(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'db']);
  expect(moved).not.toBe(address);
  expect(await inside('web', 'grep my-db /etc/hosts')).toMatch(new RegExp(`^${moved.replaceAll('.', '\\.')}\\t`));
  await tsrunOk(['rename', 'db', 'base']);
  expect(await inside('web', 'ping -c 1 -w 3 base')).toContain('1 packets received');
  expect(await tsrunOk(['inspect', '-f', '{{json .HostConfig.Links}}', 'web'])).toContain('/base:/web/my-db');
});

test('a container that is not there or does not run cannot be linked to, nor from the network of another', async () => {
  const absent = await tsrun(['run', '--rm', '--link', 'absent', 'busybox', 'true']);
  expect(absent.code).toBe(125);
  expect(absent.stderr).toContain('could not get container for absent: No such container: absent');
  await tsrunOk(['create', '--name', 'idle', ...sleeper]);
  const idle = await tsrun(['run', '--rm', '--name', 'web', '--link', 'idle:x', 'busybox', 'true']);
  expect(idle.code).toBe(125);
  expect(idle.stderr).toContain('Cannot link to a non running container: /idle AS /web/x');
  const shared = await tsrun(['create', '--network', 'host', '--link', 'idle', 'busybox']);
  expect(shared.code).toBe(1);
  expect(shared.stderr).toContain("conflicting options: host type networking can't be used with links");
  const malformed = await tsrun(['create', '--link', 'a:b:c', 'busybox']);
  expect(malformed).toMatchObject({ code: 125, stderr: expect.stringContaining('bad format for links: a:b:c') });
});

test('--network container:NAME means that container, whatever it is called later; a stopped one knows its network', async () => {
  const id = await tsrunOk(['run', '-d', '--name', 'web', ...sleeper]);
  await tsrunOk(['create', '--name', 'beside', '--network', 'container:web', 'busybox', 'hostname', '-i']);
  expect(await tsrunOk(['inspect', '-f', '{{.HostConfig.NetworkMode}}', 'beside'])).toBe(`container:${id}`);
  await tsrunOk(['rename', 'web', 'old']);
  await tsrunOk(['run', '-d', '--name', 'web', ...sleeper]);
  const address = await tsrunOk(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'old']);
  expect(await tsrunOk(['start', '-a', 'beside'])).toBe(address);
  const absent = await tsrun(['create', '--network', 'container:absent', 'busybox']);
  expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining('No such container: absent') });

  await tsrunOk(['stop', '-t', '0', 'old']);
  const network = await tsrunOk(['network', 'inspect', '-f', '{{.Id}}', 'bridge']);
  expect(await tsrunOk(['inspect', '-f', '{{.NetworkSettings.Networks.bridge.NetworkID}}', 'old'])).toBe(network);
});

test.each([
  ['run with --rm', ['--rm'], ['stop', '-t', '0', 'web']],
  ['removed', [], ['rm', '-f', 'web']],
])('a container that is %s takes its address from those that have joined its network', async (_, flags, end) => {
  await tsrunOk(['run', '-d', '--name', 'web', ...flags, ...sleeper]);
  await tsrunOk(['run', '-d', '--name', 'beside', '--network', 'container:web', ...sleeper]);
  expect(await inside('beside', 'ls /sys/class/net')).toBe('eth0\nlo\n');
  await tsrunOk(end);
  expect(await inside('beside', 'ls /sys/class/net')).toBe('lo\n');
  expect(await tsrunOk(['doctor'])).not.toContain('veth pair');
});
