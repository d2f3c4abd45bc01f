import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostsFile, parseExtraHost, writeInPlace, writeNetworkFiles } from '../../../src/network/names.ts';
import { parseResolvConf, readHostResolver, resolvConf } from '../../../src/network/resolver.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'names-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const read = (name: string) => readFileSync(join(directory, name), 'utf8');

describe('hosts', () => {
  test('is what docker writes', () => {
    expect(hostsFile('172.30.0.2', 'box', [{ address: '10.0.0.1', names: 'db' }])).toBe(
      '127.0.0.1\tlocalhost\n' +
        '::1\tlocalhost ip6-localhost ip6-loopback\n' +
        'fe00::0\tip6-localnet\n' +
        'ff00::0\tip6-mcastprefix\n' +
        'ff02::1\tip6-allnodes\n' +
        'ff02::2\tip6-allrouters\n' +
        '10.0.0.1\tdb\n' +
        '172.30.0.2\tbox\n',
    );
  });

  test('has the short name beside a full one', () => {
    expect(hostsFile('172.30.0.2', 'box.example.org', [])).toContain('172.30.0.2\tbox.example.org box\n');
  });

  test.each([
    ['db:10.0.0.1', { address: '10.0.0.1', names: 'db' }],
    ['db=10.0.0.1', { address: '10.0.0.1', names: 'db' }],
    ['db:::1', { address: '::1', names: 'db' }],
    ['db:[fd00::1]', { address: 'fd00::1', names: 'db' }],
    ['host.docker.internal:host-gateway', { address: '172.30.0.1', names: 'host.docker.internal' }],
  ])('--add-host %s', (text, entry) => {
    expect(parseExtraHost(text, '172.30.0.1')).toEqual(entry);
  });

  test.each([
    ['db', 'bad format for add-host: "db"'],
    [':1.2.3.4', 'bad format for add-host: ":1.2.3.4"'],
    ['db:', 'bad format for add-host: "db:"'],
    ['db:1.2.3', 'invalid IP address in add-host: "1.2.3"'],
    ['db evil:1.2.3.4', 'bad format for add-host: "db evil:1.2.3.4"'],
    ['db:1.2.3.4\n6.6.6.6 bank', 'bad format for add-host: "db:1.2.3.4\n6.6.6.6 bank"'],
  ])('--add-host %j is refused', (text, message) => {
    expect(() => parseExtraHost(text, undefined)).toThrow(message);
  });
});

describe('resolv.conf', () => {
  const host = parseResolvConf(
    '# a comment\nnameserver 10.0.0.53\nnameserver 127.0.0.53 # stub\nnameserver fd00::53\n; old\nsearch a.example b.example\noptions edns0 trust-ad\n',
  );

  test('takes from the host what a container can reach', () => {
    expect(resolvConf(host, {}, 'outside')).toBe(
      'nameserver 10.0.0.53\nsearch a.example b.example\noptions edns0 trust-ad\n',
    );
  });

  test('keeps the order of the host’s file where nothing is asked for', () => {
    const searched = parseResolvConf('search lan\nnameserver 10.0.0.53\n');
    expect(resolvConf(searched, {}, 'outside')).toBe('search lan\nnameserver 10.0.0.53\n');
  });

  test('falls back as docker does where the host has only servers of its own', () => {
    const local = parseResolvConf('nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\n');
    expect(resolvConf(local, {}, 'outside')).toBe('nameserver 8.8.8.8\nnameserver 8.8.4.4\n');
    expect(resolvConf(local, {}, 'all')).toBe('nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\n');
  });

  test('is what the user asks for, list by list', () => {
    expect(resolvConf(host, { dns: ['127.0.0.1', 'fd00::1'] }, 'outside')).toBe(
      'search a.example b.example\nnameserver 127.0.0.1\nnameserver fd00::1\noptions edns0 trust-ad\n',
    );
    expect(resolvConf(host, { dnsSearch: ['c.example'], dnsOptions: ['ndots:2'] }, 'outside')).toBe(
      'search c.example\nnameserver 10.0.0.53\noptions ndots:2\n',
    );
    expect(resolvConf(host, { dnsSearch: ['.'] }, 'outside')).not.toContain('search');
  });

  test('the last search or domain line counts', () => {
    expect(parseResolvConf('search a b\ndomain c\n').search).toEqual(['c']);
  });

  test('with the stub of systemd-resolved, the servers behind it', () => {
    const stub = join(directory, 'stub');
    const upstream = join(directory, 'upstream');
    writeInPlace(stub, 'nameserver 127.0.0.53\nsearch lan\n');
    expect(readHostResolver(stub, upstream).nameservers).toEqual(['127.0.0.53']);
    writeInPlace(upstream, 'nameserver 192.0.2.53\n');
    expect(readHostResolver(stub, upstream).nameservers).toEqual(['192.0.2.53']);
    writeInPlace(stub, 'nameserver 127.0.0.53\nnameserver 192.0.2.1\n');
    expect(readHostResolver(stub, upstream).nameservers).toEqual(['127.0.0.53', '192.0.2.1']);
    expect(readHostResolver(join(directory, 'none'), upstream)).toEqual({ nameservers: [], search: [], options: [] });
  });
});

describe('the three files', () => {
  const base = { hostname: 'box', extraHosts: ['db:10.0.0.1'] };

  test('of a container on the bridge', () => {
    writeNetworkFiles({
      ...base,
      directory,
      network: 'bridge',
      address: '172.30.0.2',
      dns: ['10.0.0.53'],
      dnsSearch: ['x'],
    });
    expect(read('hosts')).toMatch(/^127\.0\.0\.1\tlocalhost\n.*10\.0\.0\.1\tdb\n172\.30\.0\.2\tbox\n$/s);
    expect(read('hostname')).toBe('box\n');
    expect(read('resolv.conf')).toMatch(/^search x\nnameserver 10\.0\.0\.53\n/);
    for (const name of ['hosts', 'hostname', 'resolv.conf']) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o644);
    }
  });

  test('a domain name makes the full name, in hosts alone', () => {
    writeNetworkFiles({ ...base, domainname: 'example.org', directory, network: 'bridge', address: '172.30.0.2' });
    expect(read('hosts')).toContain('172.30.0.2\tbox.example.org box\n');
    expect(read('hostname')).toBe('box\n');
  });

  test('without a network there is no address', () => {
    writeNetworkFiles({ ...base, directory, network: 'none' });
    expect(read('hosts')).not.toContain('\tbox');
    expect(read('hosts')).toContain('10.0.0.1\tdb\n');
  });

  test("with the host's network they are the host's", () => {
    writeNetworkFiles({ ...base, directory, network: 'host', hostname: '' });
    expect(read('hosts')).toBe(`${readFileSync('/etc/hosts', 'utf8').trimEnd()}\n10.0.0.1\tdb\n`);
    expect(read('resolv.conf')).toBe(readFileSync('/etc/resolv.conf', 'utf8'));
    expect(read('hostname')).toBe(`${hostname()}\n`);
  });

  test('are overwritten in place: what has the file mounted sees the new content', () => {
    writeNetworkFiles({ ...base, directory, network: 'bridge', address: '172.30.0.200' });
    const inode = statSync(join(directory, 'hosts')).ino;
    writeNetworkFiles({ ...base, directory, network: 'bridge', address: '172.30.0.2', extraHosts: [] });
    expect(statSync(join(directory, 'hosts')).ino).toBe(inode);
    expect(read('hosts')).toMatch(/ip6-allrouters\n172\.30\.0\.2\tbox\n$/);
  });

  test('name servers that are none are refused', () => {
    expect(() => writeNetworkFiles({ ...base, directory, network: 'none', dns: ['dns.example'] })).toThrow(
      'dns.example is not an ip address',
    );
  });
});
