/** `xray`: what it shows is compared with what the kernel and the container themselves say. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-xray.'));
/** A name that would colour a terminal, close an element, and turn the direction of writing. */
const hostile = 'a\u001b[31mb<script>alert(1)</script>"&\u202ec';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  const shell = `cp /bin/busybox "/bin/$NAME"; echo mine >>/etc/passwd; rm /etc/group
    httpd -f -p 80 & "/bin/$NAME" sleep 1000 & sleep 1000; :`;
  const flags = ['-p', '127.0.0.1:18484:80', '-v', '/tmp:/mnt:ro', '--tmpfs', '/scratch', '-e', `NAME=${hostile.replaceAll('/', '|')}`];
  await tsrunOk(['run', '-d', '--name', 'xray', ...flags, 'busybox', 'sh', '-c', shell]);
  await until(async () => (await tsrunOk(['top', 'xray'])).includes('httpd'));
});
afterAll(async () => {
  await tsrun(['rm', '-f', 'xray']);
  rmSync(directory, { recursive: true });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) if (await condition()) return;
  throw new Error('it does not come to it');
}

test('dump', async () => {
  const out = process.env.XRAY_OUT ?? directory;
  writeFileSync(join(out, 'text'), await tsrunOk(['xray', 'xray']));
  writeFileSync(join(out, 'json'), await tsrunOk(['xray', '--format', 'json', 'xray']));
  await tsrunOk(['xray', '--html', join(out, 'page.html'), 'xray']);
  await tsrunOk(['xray', '--lang', 'ru', '--html', join(out, 'page-ru.html'), 'xray']);
  writeFileSync(join(out, 'path'), await tsrunOk(['xray', 'xray', '/etc/passwd']));
  writeFileSync(join(out, 'path2'), await tsrunOk(['xray', 'xray', '/proc/keys']));
});
