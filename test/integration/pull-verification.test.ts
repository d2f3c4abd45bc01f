/** Pulling from registries that lie: length, digest and structure are checked, whatever they say. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Descriptor } from '../../scripts/images/layout.ts';
import type { PulledImage, PullOptions } from '../../src/image/pull.ts';
import { repository, weatherForEachTest } from './pull-weather.ts';
import { noise, type World, writeImage } from './pull-world.ts';
import { Peer, send } from './registry-peer.ts';

const name = repository;
const weather = weatherForEachTest();
let world: World;
let peer: Peer;
let blob: Descriptor;
beforeEach(() => {
  ({ world, peer, blob } = weather());
});
const pull = (options: PullOptions = {}) => weather().pull(options);
const isBlob = (path: string) => weather().isBlob(path);
const ranges = () => weather().ranges();
const expectWhole = (pulled: Promise<PulledImage>) => weather().expectWhole(pulled);
const expectFailure = (pulled: Promise<PulledImage>, code: string, message: RegExp | string) =>
  weather().expectFailure(pulled, code, message);

describe('a registry that lies', () => {
  /** Answers requests for the big blob with `bytes`; without `announced` in chunks of unknown number. */
  function serveBlob(bytes: Buffer, announced?: number): void {
    peer.trick = ({ path, response }) => {
      if (!isBlob(path)) return false;
      response.writeHead(200, announced === undefined ? {} : { 'content-length': String(announced) });
      response.end(bytes);
      return true;
    };
  }

  test('about the length: more than the manifest says', async () => {
    serveBlob(Buffer.concat([peer.blob(blob.digest), Buffer.alloc(10)]), blob.size + 10);
    await expectFailure(
      pull(),
      'VERIFICATION',
      new RegExp(`announces ${blob.size + 10} bytes for blob .*, which has ${blob.size}$`),
    );
  });

  test('about the length: less than the manifest says', async () => {
    serveBlob(peer.blob(blob.digest).subarray(0, 1000), 1000);
    await expectFailure(pull(), 'VERIFICATION', /announces 1000 bytes for blob/);
  });

  test('by sending more than it may, without an announcement', async () => {
    serveBlob(Buffer.concat([peer.blob(blob.digest), Buffer.alloc(1_000_000)]));
    await expectFailure(pull(), 'VERIFICATION', new RegExp(`sends more than the ${blob.size} bytes of blob`));
  });

  test('by ending early, without an announcement', async () => {
    serveBlob(peer.blob(blob.digest).subarray(0, 1000));
    await expectFailure(pull(), 'REGISTRY', /ended blob sha256:[0-9a-f]+ early$/);
  });

  test('about the content: the digest shows it, and it is tried once more', async () => {
    const bytes = Buffer.from(peer.blob(blob.digest));
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    serveBlob(bytes, bytes.length);
    const actual = createHash('sha256').update(bytes).digest('hex');
    await expectFailure(pull(), 'VERIFICATION', `blob ${blob.digest} was received with the digest sha256:${actual}`);
    expect(ranges()).toHaveLength(2);
  });

  test('about the content from its first byte: damage is not taken for a bad archive', async () => {
    serveBlob(noise(blob.size, 7), blob.size);
    await expectFailure(pull(), 'VERIFICATION', /was received with the digest/);
  });

  test('once: the second time it is right', async () => {
    let lied = false;
    peer.trick = ({ path, response }) => {
      if (!isBlob(path) || lied) return false;
      lied = true;
      send(response, 200, noise(blob.size));
      return true;
    };
    await expectWhole(pull());
  });

  test('about the manifest that is asked for by its digest', async () => {
    const { digest } = peer.tagged(`${name}:latest`);
    peer.trick = ({ path, response }) => {
      if (!path.includes('/manifests/')) return false;
      const other = Buffer.concat([peer.blob(digest), Buffer.from(' ')]);
      send(response, 200, other, {
        'docker-content-digest': digest,
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
      });
      return true;
    };
    await expectFailure(
      world.pull(`${peer.address}/${name}@${digest}`),
      'VERIFICATION',
      new RegExp(`sent another manifest than ${digest}`),
    );
  });

  test('about the digest in a header: the bytes decide', async () => {
    const { digest } = peer.tagged(`${name}:latest`);
    peer.trick = ({ response }) => {
      response.setHeader('docker-content-digest', `sha256:${'f'.repeat(64)}`);
      return false;
    };
    const image = await pull();
    expect(image.repoDigests).toEqual([`${peer.address}/${name}@${digest}`]);
  });

  test('about the config', async () => {
    const config = JSON.parse(peer.blob(peer.tagged(`${name}:latest`).digest).toString()).config.digest;
    peer.trick = ({ path, response }) => {
      if (!path.endsWith(config)) return false;
      send(response, 200, Buffer.from(peer.blob(config).toString().replace('hello', 'hullo')));
      return true;
    };
    await expectFailure(pull(), 'VERIFICATION', new RegExp(`sent something else as blob ${config}`));
  });

  test('with a manifest without end', async () => {
    peer.trick = ({ path, response }) => {
      if (!path.includes('/manifests/')) return false;
      response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
      const piece = Buffer.alloc(65_536, ' ');
      const pump = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', pump);
      pump();
      return true;
    };
    await expectFailure(pull(), 'REGISTRY', `${peer.address}: sends more than 4194304 bytes where less is allowed`);
  });

  test.each([
    ['<html>', 'REGISTRY', /^manifest of ".*" \(sha256:[0-9a-f]+\): is not valid JSON$/],
    ['{"schemaVersion": 1, "fsLayers": []}', 'UNSUPPORTED', /version 2, schema 1$/],
  ])('with the manifest %s', async (text, code, message) => {
    peer.trick = ({ path, response }) => {
      if (!path.includes('/manifests/')) return false;
      send(response, 200, Buffer.from(text));
      return true;
    };
    await expectFailure(pull(), code, message);
  });
});

describe('an archive that is bad in itself', () => {
  test('is told apart from damage, and not fetched again', async () => {
    const bad = writeImage(join(world.directory, 'bad'), 'library/bad:latest', [[{ path: '../outside', data: 'x' }]]);
    const badPeer = await new Peer(bad).start();
    try {
      await expectFailure(world.pull(`${badPeer.address}/library/bad`), 'ARCHIVE', /outside/);
      expect(badPeer.log('/blobs/')).toHaveLength(2); // the config and the layer
    } finally {
      await badPeer.stop();
    }
  });

  test('or whose config does not belong to it', async () => {
    const directory = writeImage(join(world.directory, 'x'), 'library/x:latest', [[{ path: 'a', data: 'a' }]]);
    const other = await new Peer(directory).start();
    try {
      const manifest = JSON.parse(other.blob(other.tagged('library/x:latest').digest).toString());
      const config = JSON.parse(other.blob(manifest.config.digest).toString());
      config.rootfs.diff_ids = [`sha256:${'1'.repeat(64)}`];
      const bytes = Buffer.from(JSON.stringify(config));
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      manifest.config = { ...manifest.config, digest, size: bytes.length };
      other.trick = ({ path, response }) => {
        if (path.includes('/manifests/')) send(response, 200, Buffer.from(JSON.stringify(manifest)));
        else if (path.endsWith(digest)) send(response, 200, bytes);
        else return false;
        return true;
      };
      await expectFailure(
        world.pull(`${other.address}/library/x`),
        'VERIFICATION',
        /unpacks to sha256:.*, the image says sha256:1111/,
      );
    } finally {
      await other.stop();
    }
  });
});
