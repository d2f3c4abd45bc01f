/** `tsrun login` and `logout`: who we are at a registry, kept where docker keeps it. */
import { readFileSync } from 'node:fs';
import { messageOf, TsrunError } from '../../error.ts';
import { eraseCredentials, storeCredentials } from '../../image/credential-store.ts';
import { type Credentials, credentialsFor, dockerHubKey, hostOfKey, serverName } from '../../image/credentials.ts';
import { checkLogin } from '../../image/login.ts';
import { defaultDomain } from '../../image/reference.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { beginInterruption, endInterruption } from '../interrupt.ts';
import { print, printError } from '../output.ts';
import { askSecret, readLine } from '../prompt.ts';
import { isTerminal, printForeign } from '../terminal.ts';
import { certificatesFlag, certificatesOf } from './registry-flags.ts';

/** The registry that an argument means: docker's own where there is none. */
function registryOf(argument: string | undefined): { domain: string; server: string; isDefault: boolean } {
  const host = hostOfKey(argument ?? '') || defaultDomain;
  const server = serverName(host);
  const isDefault = server === dockerHubKey;
  return { domain: isDefault ? defaultDomain : host, server, isDefault };
}

export const login: Command = {
  usage: '[OPTIONS] [SERVER]',
  description: 'Log in to a registry; without a name, to Docker Hub',
  flags: [
    certificatesFlag,
    { name: 'password', short: 'p', type: 'string', description: 'Password' },
    { name: 'password-stdin', type: 'bool', description: 'Take the password from stdin' },
    { name: 'username', short: 'u', type: 'string', description: 'Username' },
  ],
  args: { min: 0, max: 1 },
  async run({ flags, args: [argument] }) {
    const { domain, server, isDefault } = registryOf(argument);
    const certificates = certificatesOf(flags);
    let given = givenCredentials(flags);
    const check = (credentials: Credentials): Promise<Credentials> => {
      const signal = beginInterruption();
      return checkLogin(domain, credentials, { certificates, signal }).finally(endInterruption);
    };
    const known = await credentialsFor(domain);
    if (known !== undefined && given.username === '' && given.password === '') {
      print('Authenticating with existing credentials...\n');
      try {
        await keep(server, await check(known));
        return 0;
      } catch (error) {
        printForeign(`Login did not succeed, error: ${messageOf(error)}\n`);
      }
    }
    if (given.username === '' || given.password === '') given = ask(given, known?.username ?? '', isDefault);
    await keep(server, await check(given));
    return 0;
  },
};

/** What the command line says. Throws `USAGE` in docker's words. */
function givenCredentials(flags: ParsedFlags): Credentials {
  const username = flags.string('username') ?? '';
  const password = flags.string('password') ?? '';
  if (password !== '') {
    printError('WARNING! Using --password via the CLI is insecure. Use --password-stdin.');
    if (flags.boolean('password-stdin')) {
      throw new TsrunError('USAGE', '--password and --password-stdin are mutually exclusive');
    }
  }
  if (!flags.boolean('password-stdin')) return { username, password };
  if (username === '') throw new TsrunError('USAGE', 'Must provide --username with --password-stdin');
  return { username, password: readFileSync(0, 'utf8').replace(/\n$/, '').replace(/\r$/, '') };
}

/** Asks for what is missing. Throws `USAGE` where nobody can answer, or does. */
function ask(given: Credentials, before: string, isDefault: boolean): Credentials {
  if (!isTerminal(0)) {
    throw new TsrunError('USAGE', 'Cannot perform an interactive login from a non TTY device', {
      hint: 'hand the password over: tsrun login -u NAME --password-stdin SERVER <FILE',
    });
  }
  let { username, password } = given;
  if (username === '') {
    if (isDefault) {
      print(
        "Login with your Docker ID to push and pull images from Docker Hub. If you don't have a Docker ID, " +
          'head over to https://hub.docker.com to create one.\n',
      );
    }
    print(before === '' ? 'Username: ' : `Username (${before}): `);
    username = readLine().trim() || before;
  }
  if (username === '') throw new TsrunError('USAGE', 'Non-null Username Required');
  if (password === '') password = askSecret('Password: ');
  if (password === '') throw new TsrunError('USAGE', 'Password Required');
  return { username, password };
}

async function keep(server: string, credentials: Credentials): Promise<void> {
  const file = await storeCredentials(server, credentials);
  if (file !== undefined) {
    printError(
      `WARNING! Your password will be stored unencrypted in ${file}.\n` +
        'Configure a credential helper to remove this warning. See\n' +
        'https://docs.docker.com/engine/reference/commandline/login/#credentials-store\n',
    );
  }
  print('Login Succeeded\n');
}

export const logout: Command = {
  usage: '[SERVER]',
  description: 'Log out from a registry; without a name, from Docker Hub',
  flags: [],
  args: { min: 0, max: 1 },
  async run({ args: [argument] }) {
    const { server, isDefault } = registryOf(argument);
    print(`Removing login credentials for ${server}\n`);
    // As older versions wrote it.
    const servers = isDefault ? [server] : [server, `http://${server}`, `https://${server}`];
    const failures = await eraseCredentials(servers);
    if (failures.length > 0) printError(`WARNING: could not erase credentials:\n${failures.join('\n')}`);
    return 0;
  },
};
