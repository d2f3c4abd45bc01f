/**
 * Programs that keep credentials (docker-credential-helpers): `docker-credential-NAME get|store|erase`, with the server's name
 * or a JSON document on stdin, and the answer, or what went wrong, on stdout.
 */
import { messageOf, TsrunError } from '../error.ts';
import { errorCode } from './errors.ts';

const helperTimeout = 60_000;
const maxAnswer = 1024 * 1024;

export interface HelperCall {
  /** `pass`: of docker-credential-pass. */
  name: string;
  action: 'get' | 'store' | 'erase';
  /** For messages. */
  server: string;
  stdin: string;
  /** The file that names the helper. */
  config: string;
}

/**
 * What the helper prints; undefined where it has nothing for the server, which is an answer and no error. Throws `UNAUTHORIZED`
 * when it fails or is not there.
 */
export async function callHelper({ name, action, server, stdin, config }: HelperCall): Promise<string | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown): TsrunError =>
    new TsrunError('UNAUTHORIZED', `the credential helper ${program} failed for ${server}: ${why}`, {
      cause,
      hint: `see credsStore and credHelpers in ${config}`,
    });
  if (!/^[\w.-]+$/.test(name)) throw failed('that is no name of a helper');
  const { execFile } = await import('node:child_process');
  const answer = await new Promise<{ error: unknown; stdout: string }>((resolve) => {
    const limits = { timeout: helperTimeout, maxBuffer: maxAnswer };
    const child = execFile(program, [action], limits, (error, stdout) => resolve({ error, stdout }));
    // A helper that never reads its input must not end this process.
    child.stdin?.on('error', () => {});
    child.stdin?.end(stdin);
  });
  if (answer.error === null) return answer.stdout;
  if (errorCode(answer.error) === 'ENOENT') throw failed('it is not in PATH', answer.error);
  if (/not found|no credentials/i.test(answer.stdout)) return undefined;
  throw failed(answer.stdout.trim().slice(0, 500) || messageOf(answer.error), answer.error);
}
