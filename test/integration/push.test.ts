/** Images to real registries and back: what is pushed, and who may. Judges: docker-registry and skopeo. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { archive, file } from '../fixtures/archives.ts';
import { type ConfiguredRegistry, makeCertificate, startConfigured, TokenService } from './configured-registry.ts';
import { type Result, run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const layersImage = 'tsrun/layers';

let directory: string;
let plain: ConfiguredRegistry;
beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-push.');
  for (const name of ['plain', 'locked', 'secure', 'tokens']) mkdirSync(join(directory, name));
  for (const name of ['busybox', layersImage]) await tsrunOk(['pull', '-q', `${inject('registry')}/${nameAt(name)}`]);
  plain = await startConfigured(directory, join(directory, 'plain'));
});
afterAll(async () => {
  await plain.stop();
  const all = (await tsrunOk(['images', '-aq'])).split('\n').filter((id) => id !== '');
  if (all.length > 0) await tsrun(['rmi', '-f', ...new Set(all)]);
  rmSync(directory, { recursive: true });
});

const nameAt = (name: string): string => (name.includes('/') ? name : `library/${name}`);
const source = (name: string): string => `${inject('registry')}/${nameAt(name)}`;

/** A configuration of docker's, and of everything else, that no test shares. */
let settings: Record<string, string> = {};
afterEach(() => {
  settings = {};
});
function freshSettings(): string {
  const home = mkdtempSync(join(directory, 'home.'));
  settings = { DOCKER_CONFIG: home, XDG_CONFIG_HOME: join(home, 'config'), HOME: home };
  return home;
}

async function push(name: string, target: string, ...flags: string[]): Promise<Result> {
  await tsrunOk(['tag', source(name), target]);
  return tsrun(['push', ...flags, target], { env: settings });
}

interface Manifest {
  mediaType: string;
  config: { digest: string };
  layers: { digest: string; size: number; mediaType: string }[];
}

function skopeo(...args: string[]): Buffer {
  return execFileSync('skopeo', ['--insecure-policy', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What the registry has under a name, by skopeo, and its digest. */
function inspected(name: string): Manifest & { digest: string } {
  const raw = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`);
  return { ...JSON.parse(raw.toString()), digest: `sha256:${createHash('sha256').update(raw).digest('hex')}` };
}

const diffIds = async (name: string): Promise<string[]> =>
  JSON.parse(await tsrunOk(['inspect', '-f', '{{json .RootFS.Layers}}', name]));
const idOf = (name: string): Promise<string> => tsrunOk(['inspect', '-f', '{{.Id}}', name]);

/** The lines of docker's that say what happened to layers, without `Preparing` and `Waiting`. */
function outcome({ stdout }: Result): string[] {
  const found = [...stdout.matchAll(/^[0-9a-f]{12}: (?!Preparing|Waiting)(.*)$/gm)];
  return found.map(([, text = '']) => text);
}

describe('a registry for everybody', () => {
  test('takes a pulled image as it is where it has its layers: the manifest has the same digest', async () => {
    const target = `${inject('registry')}/copies/layers:v1`;
    const result = await push(layersImage, target);
    const layers = await diffIds(target);
    expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(outcome(result)).toHaveLength(layers.length);
    for (const text of outcome(result)) expect(text).toMatch(/^Mounted from (tsrun\/layers|library\/busybox)$/);
    expect(inspected(target).digest).toBe(inspected(source(layersImage)).digest);
    expect(await tsrunOk(['inspect', '-f', '{{json .RepoDigests}}', target])).toContain(
      `${inject('registry')}/copies/layers@${inspected(target).digest}`,
    );
    // And once more: nothing is left to do.
    expect(outcome(await push(layersImage, target))).toEqual(layers.map(() => 'Layer already exists'));
  });

  test.each(['erofs', 'unpacked'])('gets what it has not, of layers that are stored as %s', async (storage) => {
    const root = mkdtempSync(join(directory, 'root.'));
    const env = { TSRUN_ROOT: root, TSRUN_STORAGE: storage };
    const target = `${plain.address}/${storage}/layers:v1`;
    const pulled = await tsrun(['pull', '-q', source(layersImage)], { env });
    // Where the kernel cannot, there is nothing to test.
    if (storage === 'erofs' && /cannot use erofs here/.test(pulled.stderr)) return;
    await tsrunOk(['tag', source(layersImage), target], { env });
    const result = await tsrun(['push', target], { env });
    expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
    const { digest, config, layers } = inspected(target);
    expect(config.digest).toBe(await idOf(layersImage.replace(/^/, `${inject('registry')}/`)));
    const ids = (await diffIds(source(layersImage))).map((id) => id.slice(7, 19));
    const lines = result.stdout.split('\n');
    expect(lines[0]).toBe(`The push refers to repository [${plain.address}/${storage}/layers]`);
    expect(lines.slice(1, ids.length + 1)).toEqual(ids.toReversed().map((id) => `${id}: Preparing`));
    expect(result.stdout).toMatch(new RegExp(`^v1: digest: ${digest} size: \\d+$`, 'm'));
    expect(layers.map(({ mediaType }) => mediaType)).toEqual(
      layers.map(() => 'application/vnd.oci.image.layer.v1.tar+gzip'),
    );
    // It verifies all blobs, and that they are what the config says.
    const copy = join(root, 'copy.tar');
    skopeo('copy', '-q', '--src-tls-verify=false', `docker://${target}`, `docker-archive:${copy}:x:y`);
    const manifest = execFileSync('tar', ['-xOf', copy, 'manifest.json'], { encoding: 'utf8' });
    const [{ Config = '', Layers = [] } = {}]: { Config?: string; Layers?: string[] }[] = JSON.parse(manifest);
    expect(`sha256:${Config.replace('.json', '')}`).toBe(config.digest);
    const unpacked = Layers.map((name) => name.replace(/\.tar$/, '').slice(0, 12));
    expect(unpacked).toEqual(ids);
    await tsrunOk(['rmi', target, source(layersImage)], { env });
  });

  test('an image that was made here: what comes back is the same, and runs', async () => {
    const { code } = await tsrun(['import', '-c', 'CMD ["/x"]', '-', `${plain.address}/made/here`], {
      stdin: archive(file('hello', 'hello\n')),
    });
    expect(code).toBe(0);
    const target = `${plain.address}/made/here:latest`;
    const pushed = await tsrun(['push', `${plain.address}/made/here`]);
    expect(pushed.stdout.startsWith('Using default tag: latest\nThe push refers to repository [')).toBe(true);
    const id = await idOf(target);
    const { digest } = inspected(target);
    await tsrunOk(['rmi', '-f', id]);
    await tsrunOk(['pull', '-q', target]);
    expect(await idOf(target)).toBe(id);
    expect(await tsrunOk(['inspect', '-f', '{{index .RepoDigests 0}}', target])).toBe(
      `${plain.address}/made/here@${digest}`,
    );
  });

  test('all tags, quietly, and with the events that docker has', async () => {
    const repository = `${plain.address}/many/tags`;
    await tsrunOk(['tag', source('busybox'), `${repository}:one`]);
    await tsrunOk(['tag', source(layersImage), `${repository}:two`]);
    const result = await tsrun(['push', '-a', repository]);
    expect(result.code, result.stderr).toBe(0);
    expect([...result.stdout.matchAll(/^(\w+): digest: /gm)].map(([, tag]) => tag)).toEqual(['one', 'two']);
    const quiet = await tsrun(['image', 'push', '-q', '--disable-content-trust', `${repository}:one`]);
    expect(quiet).toEqual({ code: 0, signal: null, stdout: `${repository}:one\n`, stderr: '' });
    const events = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-3);
    expect(events.map((line) => JSON.parse(line)).map(({ Action, Actor }) => [Action, Actor.ID])).toEqual([
      ['push', `${repository}:one`],
      ['push', `${repository}:two`],
      ['push', `${repository}:one`],
    ]);
    expect((await tsrunOk(['pull', '-aq', repository])).trim()).toBe(repository);
  });

  test.each([
    [['nope'], 'Error: An image does not exist locally with the tag: nope'],
    [['REGISTRY/library/busybox:nope'], 'Error: tag does not exist: REGISTRY/library/busybox:nope'],
    [['-a', 'busybox:latest'], "tag can't be used with --all-tags/-a"],
    [[`busybox@sha256:${'a'.repeat(64)}`], 'cannot push a digest reference'],
    [['127.0.0.1:1/library/busybox'], 'cannot reach 127.0.0.1:1: connection refused'],
    [['--cert-dir', '/nonexistent', 'REGISTRY/library/busybox'], 'cannot read the directory of certificates'],
  ])('%j', async (args, message) => {
    await tsrunOk(['tag', source('busybox'), '127.0.0.1:1/library/busybox']);
    const named = args.map((arg) => arg.replace('REGISTRY', inject('registry')));
    const result = await tsrun(['push', ...named]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(message.replace('REGISTRY', inject('registry')));
  });
});

describe('a manifest list', () => {
  const list = (): string => `${inject('registry')}/lists/all`;
  const manifest = (...args: string[]): Promise<Result> => tsrun(['manifest', ...args]);

  test('is put together, annotated, shown, pushed, and forgotten', async () => {
    const parts = [source('busybox'), source(layersImage)];
    expect(await manifest('create', list(), ...parts)).toEqual({
      code: 0,
      signal: null,
      stdout: `Created manifest list ${list()}:latest\n`,
      stderr: '',
    });
    expect((await manifest('create', list(), ...parts)).stderr).toContain(
      'refusing to amend an existing manifest list with no --amend flag',
    );
    expect((await manifest('create', '--amend', list(), ...parts)).code).toBe(0);
    const flags = ['--arch', 'arm64', '--variant', 'v8', '--os-features', 'a,b'];
    expect((await manifest('annotate', ...flags, list(), parts[1] ?? '')).code).toBe(0);
    const shown = await manifest('inspect', list());
    const pushed = await manifest('push', '--purge', list());
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, stderr: '' });
    // As skopeo sees it, and as docker would have made it.
    const raw = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${list()}`).toString();
    expect(raw).toBe(shown.stdout.trimEnd());
    const [first, second] = parts.map((name) => inspected(name).digest);
    const platforms = [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux', 'os.features': ['a', 'b'], variant: 'v8' },
    ];
    expect(JSON.parse(raw)).toMatchObject({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { digest: first, platform: platforms[0] },
        { digest: second, platform: platforms[1] },
      ],
    });
    const digest = `sha256:${createHash('sha256').update(raw).digest('hex')}`;
    expect(pushed.stdout).toBe(
      `${[first, second].map((one) => `Pushed ref ${list()}@${one} with digest: ${one}\n`).join('')}${digest}\n`,
    );
    expect((await manifest('push', list())).stderr).toContain(`No such manifest: ${list()}:latest`);
    // What it means for this machine, without annotation.
    expect((await tsrun(['pull', '-q', list()])).code).toBe(0);
    expect(await idOf(list())).toBe(await idOf(source('busybox')));
  });

  test.each([
    [['create', 'REGISTRY/l/x', 'REGISTRY/library/nope'], 'no such manifest: REGISTRY/library/nope:latest'],
    [['create', 'REGISTRY/l/x', 'REGISTRY/tsrun/multi'], 'REGISTRY/tsrun/multi:latest is a manifest list'],
    [['inspect', 'REGISTRY/l/nope'], 'no such manifest: REGISTRY/l/nope:latest'],
    [['push', 'REGISTRY/l/nope'], 'No such manifest: REGISTRY/l/nope:latest'],
    [['annotate', 'REGISTRY/l/nope', 'x'], 'No such manifest: REGISTRY/l/nope:latest'],
    [['rm', 'REGISTRY/l/nope'], 'No such manifest: REGISTRY/l/nope:latest'],
  ])('%j', async (args, message) => {
    const named = (text: string): string => text.replace('REGISTRY', inject('registry'));
    const result = await manifest(...args.map(named));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(named(message));
  });
});

describe('a registry with passwords', () => {
  let registry: ConfiguredRegistry;
  beforeAll(async () => {
    // bcrypt of "secret"
    const line = 'alice:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a';
    writeFileSync(join(directory, 'htpasswd'), `${line}\n`);
    const auth = { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } };
    registry = await startConfigured(directory, join(directory, 'locked'), { auth });
  });
  afterAll(() => registry.stop());

  const login = (password: string, ...args: string[]): Promise<Result> =>
    tsrun(['login', '-u', 'alice', '--password-stdin', ...args, registry.address], {
      env: settings,
      stdin: `${password}\n`,
    });

  test('lets in who has logged in, and until the logout', async () => {
    const home = freshSettings();
    const target = `${registry.address}/private/busybox`;
    const denied = await push('busybox', target);
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain(`push access denied for ${target}: `);
    expect(denied.stderr).toContain(`tsrun login ${registry.address}`);

    const result = await login('secret');
    expect(result).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' });
    const path = join(home, 'config.json');
    expect(result.stderr).toContain(`WARNING! Your password will be stored unencrypted in ${path}.\n`);
    // As docker writes it, which reads it.
    const auth = Buffer.from('alice:secret').toString('base64');
    expect(readFileSync(path, 'utf8')).toBe(
      `{\n\t"auths": {\n\t\t"${registry.address}": {\n\t\t\t"auth": "${auth}"\n\t\t}\n\t}\n}`,
    );
    expect((await push('busybox', target)).code).toBe(0);
    skopeo('inspect', '--tls-verify=false', '--authfile', path, `docker://${target}`);
    expect(await tsrun(['login', registry.address], { env: settings })).toMatchObject({
      code: 0,
      stdout: 'Authenticating with existing credentials...\nLogin Succeeded\n',
    });

    expect(await tsrun(['logout', registry.address], { env: settings })).toEqual({
      code: 0,
      signal: null,
      stdout: `Removing login credentials for ${registry.address}\n`,
      stderr: '',
    });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ auths: {} });
    expect((await push('busybox', target)).code).toBe(1);
  });

  test('a wrong password is kept by nobody', async () => {
    const home = freshSettings();
    const result = await login('wrong');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(
      `login attempt to http://${registry.address}/v2/ failed with status: 401 Unauthorized`,
    );
    expect(() => readFileSync(join(home, 'config.json'))).toThrow();
  });

  test('a helper keeps it', async () => {
    const home = freshSettings();
    const helper = join(home, 'docker-credential-test');
    const script = `#!/bin/sh\nif [ "$1" = get ]; then cat "${home}/kept" 2>/dev/null || { echo credentials not found; exit 1; }\nelif [ "$1" = store ]; then cat >"${home}/kept"\nelse cat >>"${home}/erased"; rm "${home}/kept"; fi\n`;
    writeFileSync(helper, script, { mode: 0o755 });
    const before = { credsStore: 'test', proxies: { default: {} } };
    writeFileSync(join(home, 'config.json'), JSON.stringify(before));
    settings.PATH = `${home}:${process.env.PATH}`;
    expect(await login('secret')).toMatchObject({ code: 0, stdout: 'Login Succeeded\n', stderr: '' });
    expect(JSON.parse(readFileSync(join(home, 'kept'), 'utf8'))).toEqual({
      ServerURL: registry.address,
      Username: 'alice',
      Secret: 'secret',
    });
    const config = (): unknown => JSON.parse(readFileSync(join(home, 'config.json'), 'utf8'));
    expect(config()).toEqual({ ...before, auths: { [registry.address]: {} } });
    expect((await push('busybox', `${registry.address}/private/helped`)).code).toBe(0);
    expect((await tsrun(['logout', registry.address], { env: settings })).code).toBe(0);
    expect(readFileSync(join(home, 'erased'), 'utf8')).toBe(
      `${registry.address}http://${registry.address}https://${registry.address}`,
    );
    expect(config()).toEqual({ ...before, auths: {} });
  });

  test('a terminal is asked, and does not show the password', async () => {
    const home = freshSettings();
    const answers = `(sleep 0.1; echo alice; while ! grep -q Password: "${home}/log"; do sleep 0.1; done; sleep 0.3; printf 'sec\\x15secreX\\x7ft\\r')`;
    const command = `${answers} | script -qefc "${tsrunPath} login ${registry.address}" "${home}/log"`;
    const result = await run('bash', ['-c', command], { env: settings });
    expect(result.stdout).toContain('Login Succeeded');
    expect(result.stdout).toMatch(/Username: /);
    expect(result.stdout).not.toContain('secre');
  });

  test.each([
    [['-u', 'alice', '-p', 'x', '--password-stdin'], '--password and --password-stdin are mutually exclusive'],
    [['--password-stdin'], 'Must provide --username with --password-stdin'],
    [[], 'Cannot perform an interactive login from a non TTY device'],
    [['-u', 'alice'], 'Cannot perform an interactive login from a non TTY device'],
    [['-u', 'alice', '-p', 'x'], 'WARNING! Using --password via the CLI is insecure. Use --password-stdin.'],
  ])('login %j', async (args, message) => {
    freshSettings();
    const result = await tsrun(['login', ...args, registry.address], { env: settings, stdin: 'x' });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(message);
  });
});

describe('a registry with a certificate of its own authority', () => {
  let registry: ConfiguredRegistry;
  beforeAll(async () => {
    const certificate = makeCertificate(join(directory, 'secure'));
    const storage = join(directory, 'secure/storage');
    mkdirSync(storage);
    registry = await startConfigured(directory, storage, {}, certificate);
    for (const place of ['ca-only', 'both']) mkdirSync(join(directory, 'secure', place));
    copyFileSync(certificate.cert, join(directory, 'secure/ca-only/ca.crt'));
    copyFileSync(certificate.cert, join(directory, 'secure/both/ca.crt'));
    copyFileSync(certificate.cert, join(directory, 'secure/both/client.cert'));
    copyFileSync(certificate.key, join(directory, 'secure/both/client.key'));
  });
  afterAll(() => registry.stop());

  test('--cert-dir says where it is, for push and pull', async () => {
    freshSettings();
    const target = `${registry.address}/secure/layers`;
    const refused = await push(layersImage, target);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('its certificate is not trusted');
    const flags = ['--cert-dir', join(directory, 'secure/ca-only')];
    const pushed = await push(layersImage, target, ...flags);
    expect(pushed.code, pushed.stderr).toBe(0);
    skopeo('inspect', '--cert-dir', join(directory, 'secure/ca-only'), `docker://${target}`);
    expect((await tsrun(['pull', '-q', ...flags, target], { env: settings })).code).toBe(0);
    expect((await tsrun(['pull', '-q', target], { env: settings })).code).toBe(1);
  });

  test.each(['tsrun', 'containers', 'docker'])('certs.d of %s is looked at', async (name) => {
    const home = freshSettings();
    const place = join(home, 'config', name, 'certs.d', registry.address);
    mkdirSync(place, { recursive: true });
    copyFileSync(join(directory, 'secure/ca-only/ca.crt'), join(place, 'ca.crt'));
    expect((await push('busybox', `${registry.address}/secure/${name}`)).code).toBe(0);
    copyFileSync(join(directory, 'secure/both/client.cert'), join(place, 'client.cert'));
    const half = await push('busybox', `${registry.address}/secure/${name}`);
    expect(half.stderr).toContain(`has client.cert and no client.key`);
  });

  test('that wants to see a certificate too', async () => {
    freshSettings();
    const [cert, key] = [join(directory, 'secure/cert.pem'), join(directory, 'secure/key.pem')];
    const strict = await startConfigured(directory, join(directory, 'secure/storage'), {}, { cert, key }, [cert]);
    try {
      const target = `${strict.address}/secure/busybox`;
      expect((await push('busybox', target, '--cert-dir', join(directory, 'secure/ca-only'))).code).toBe(1);
      const known = await push('busybox', target, '--cert-dir', join(directory, 'secure/both'));
      expect(known.code, known.stderr).toBe(0);
    } finally {
      await strict.stop();
    }
  });
});

describe('a registry with a token service', () => {
  let service: TokenService;
  let registry: ConfiguredRegistry;
  beforeAll(async () => {
    service = await new TokenService(makeCertificate(join(directory, 'tokens'))).start();
    const storage = join(directory, 'tokens/storage');
    mkdirSync(storage);
    registry = await startConfigured(directory, storage, service.configuration);
  });
  afterAll(async () => {
    await registry.stop();
    await service.stop();
  });

  const basic = `Basic ${Buffer.from('alice:secret').toString('base64')}`;

  test('one token for all of a push, and one for what is mounted', async () => {
    freshSettings();
    service.decide = ({ authorization }) => (authorization === basic ? 'alice' : undefined);
    const args = ['login', '-u', 'alice', '--password-stdin', registry.address];
    expect((await tsrun(args, { env: settings, stdin: 'secret' })).code).toBe(0);
    expect(service.requests.at(-1)?.url.searchParams.get('offline_token')).toBe('true');
    const before = service.requests.length;
    const pushed = await push(layersImage, `${registry.address}/first/layers`);
    expect(pushed.code, pushed.stderr).toBe(0);
    const scopes = service.requests.slice(before).map(({ url }) => url.searchParams.getAll('scope'));
    expect(scopes).toEqual([['repository:first/layers:pull,push']]);

    const mounted = await push(layersImage, `${registry.address}/second/layers`);
    expect(outcome(mounted).every((text) => text === 'Mounted from first/layers')).toBe(true);
    expect(service.requests.slice(before + 1).map(({ url }) => url.searchParams.getAll('scope'))).toEqual([
      ['repository:second/layers:pull,push'],
      ['repository:second/layers:pull,push', 'repository:first/layers:pull'],
    ]);
  });

  test('a wrong password is said', async () => {
    freshSettings();
    service.decide = () => undefined;
    const args = ['login', '-u', 'alice', '--password-stdin', registry.address];
    const result = await tsrun(args, { env: settings, stdin: 'wrong' });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('refuses the credentials: incorrect username or password');
  });

  test('a token that allows to read only', async () => {
    freshSettings();
    service.decide = ({ url }) => {
      const scopes = url.searchParams.getAll('scope').map((scope) => scope.replace(',push', ''));
      url.searchParams.delete('scope');
      for (const scope of scopes) url.searchParams.append('scope', scope);
      return '';
    };
    const result = await push('busybox', `${registry.address}/read/only`);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/push access denied for .*read\/only: unauthorized/);
  });
});
