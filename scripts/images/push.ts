/** Pushes an OCI image layout to a registry on loopback (distribution-spec, "Push"). Independent of src/image. */
import { createReadStream, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Descriptor } from './layout.ts';

interface Answer {
  status: number;
  location: string | undefined;
  body: string;
}

/** One request; the body is bytes or a file. */
async function call(
  method: string,
  url: URL,
  body?: { bytes: Uint8Array; type: string } | { file: string; size: number },
): Promise<Answer> {
  const headers: Record<string, string> = {};
  if (body !== undefined) {
    headers['content-type'] = 'bytes' in body ? body.type : 'application/octet-stream';
    headers['content-length'] = String('bytes' in body ? body.bytes.length : body.size);
  }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          location: incoming.headers.location,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.on('error', reject);
    if (body === undefined) outgoing.end();
    else if ('bytes' in body) outgoing.end(body.bytes);
    else pipeline(createReadStream(body.file), outgoing).catch(reject);
  });
}

function expectStatus(answer: Answer, status: number, action: string): void {
  if (answer.status !== status)
    throw new Error(`cannot ${action}: the registry answered ${answer.status} ${answer.body}`);
}

/** Pushes every tagged image of the layout in `directory` to `http://registry/REPOSITORY:TAG`. */
export async function pushLayout(directory: string, registry: string): Promise<string[]> {
  const base = `http://${registry}/v2`;
  const pathOf = (digest: string) => join(directory, 'blobs', digest.replace(':', '/'));

  async function pushBlob(repository: string, blob: Descriptor): Promise<void> {
    const present = await call('HEAD', new URL(`${base}/${repository}/blobs/${blob.digest}`));
    if (present.status === 200) return;
    const started = await call('POST', new URL(`${base}/${repository}/blobs/uploads/`), {
      bytes: Buffer.alloc(0),
      type: 'application/octet-stream',
    });
    expectStatus(started, 202, `start an upload to "${repository}"`);
    const url = new URL(started.location ?? '', base);
    url.searchParams.set('digest', blob.digest);
    const stored = await call('PUT', url, { file: pathOf(blob.digest), size: blob.size });
    expectStatus(stored, 201, `push blob ${blob.digest} to "${repository}"`);
  }

  async function pushManifest(repository: string, reference: string, manifest: Descriptor): Promise<void> {
    const bytes = readFileSync(pathOf(manifest.digest));
    const content: { manifests?: Descriptor[]; config?: Descriptor; layers?: Descriptor[] } = JSON.parse(
      bytes.toString(),
    );
    for (const child of content.manifests ?? []) await pushManifest(repository, child.digest, child);
    for (const blob of [content.config, ...(content.layers ?? [])]) {
      if (blob !== undefined) await pushBlob(repository, blob);
    }
    const url = new URL(`${base}/${repository}/manifests/${reference}`);
    const stored = await call('PUT', url, { bytes, type: manifest.mediaType });
    expectStatus(stored, 201, `push "${repository}:${reference}"`);
  }

  const index: { manifests: Descriptor[] } = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
  const names: string[] = [];
  for (const image of index.manifests) {
    const name = image.annotations?.['org.opencontainers.image.ref.name'] ?? '';
    const [repository, tag] = name.split(':');
    if (!repository || !tag) throw new Error(`"${directory}": "${name}" is not REPOSITORY:TAG`);
    await pushManifest(repository, tag, image);
    names.push(name);
  }
  return names;
}
