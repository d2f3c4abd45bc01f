/** Starts Debian's docker-registry (distribution) on loopback, over a directory of its own. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheDirectory } from './paths.ts';

export interface Registry {
  /** `127.0.0.1:PORT` */
  address: string;
  pid: number;
}

/** The installed program, or the one that scripts/local-registry.sh took out of its package. */
export function registryBinary(): string {
  const places = ['/usr/bin/docker-registry', join(cacheDirectory(), 'tools/docker-registry/usr/bin/docker-registry')];
  const found = places.find((path) => existsSync(path));
  if (found === undefined) throw new Error('docker-registry is missing: run scripts/local-registry.sh build');
  return found;
}

/** A TCP port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/**
 * Starts a registry that keeps its blobs and its log in `directory` and waits until it answers. It goes on when this
 * process ends: whoever called it ends it by its pid. Port 0 picks a free one.
 */
export async function startRegistry(directory: string, port = 0): Promise<Registry> {
  const binary = registryBinary();
  const address = `127.0.0.1:${port === 0 ? await freePort() : port}`;
  mkdirSync(join(directory, 'storage'), { recursive: true });
  const config = {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: true } },
    http: { addr: address },
  };
  writeFileSync(join(directory, 'registry.yml'), JSON.stringify(config)); // JSON is YAML
  const log = join(directory, 'registry.log');
  const logFd = openSync(log, 'w');
  const child = spawn(binary, ['serve', join(directory, 'registry.yml')], {
    detached: true,
    stdio: ['ignore', logFd, logFd],
    env: { PATH: process.env.PATH, OTEL_TRACES_EXPORTER: 'none' },
  });
  closeSync(logFd);
  let failed = false;
  child.once('exit', () => {
    failed = true;
  });
  child.once('error', () => {
    failed = true;
  });
  child.unref();
  for (let attempt = 0; attempt < 200 && !failed; attempt++) {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined);
    if (answer?.ok && child.pid !== undefined) return { address, pid: child.pid };
    await delay(50);
  }
  throw new Error(`docker-registry did not start on ${address}:\n${readFileSync(log, 'utf8')}`);
}
