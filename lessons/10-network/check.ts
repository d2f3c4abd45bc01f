/** Solved where a client on the host, at port 8080, is greeted by the server in the container, and nothing is left at the end. */
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { examine, type Problem, Run, shares, startCat } from '../examiner.ts';

/** What somebody on the host hears at 10.213.7.1:8080; undefined when nobody answers. */
function hear(): Promise<string | undefined> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = createConnection({ host: '10.213.7.1', port: 8080, timeout: 10_000 });
    socket.on('data', (chunk) => (heard += chunk));
    socket.on('error', () => resolve(undefined));
    socket.on('timeout', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('close', () => resolve(heard));
  });
}

async function problemOf(): Promise<Problem | undefined> {
  const { run, pid } = await startCat();
  const shared = shares('net', pid);
  await run.end();
  if (shared) return { en: 'The container has the network of the host.', ru: 'У контейнера сеть хоста.' };

  const server = new Run([], { TSRUN_LESSON_BREAKOUT: process.env.TSRUN_LESSON_PROBE ?? '' });
  if ((await server.until(() => server.stdout.includes('listening') || undefined)) !== true) {
    await server.end();
    return {
      en: `No server can be started in your container: ${server.stderr.trim()}`,
      ru: `В вашем контейнере не запускается сервер: ${server.stderr.trim()}`,
    };
  }
  const heard = await hear();
  if (heard !== 'hello from the container\n') server.signal('SIGTERM');
  await server.end();
  if (heard === 'hello from the container\n') return undefined;
  return {
    en: 'Nobody answers at 10.213.7.1, port 8080, although a server listens on port 80 of the container. What comes from the host itself does not pass prerouting: it needs the same rule in a chain at the hook output.',
    ru: 'По адресу 10.213.7.1, порт 8080, никто не отвечает, хотя в контейнере сервер слушает порт 80. То, что идёт с самого хоста, через prerouting не проходит: ему нужно то же правило в цепочке на крючке output.',
  };
}

await examine(async () => {
  const problem = await problemOf();
  const left = readdirSync('/sys/class/net').filter((name) => name.startsWith('lesson0'));
  if (problem !== undefined || left.length === 0) return problem;
  return {
    en: `The program has ended, and has left behind: ${left.join(', ')}`,
    ru: `Программа завершилась и оставила после себя: ${left.join(', ')}`,
  };
});
