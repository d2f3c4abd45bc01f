/** Whether a registry takes credentials: `login` asks before it keeps them. */
import { TsrunError } from '../error.ts';
import type { Credentials } from './credentials.ts';
import { HttpClient } from './http.ts';
import { loadRegistrySettings, type RegistrySettings, registryEndpoint } from './mirrors.ts';
import { Registry } from './registry.ts';

export interface LoginOptions {
  /** By default those of the settings files. */
  settings?: RegistrySettings;
  /** Where certificates are, instead of certs.d. */
  certificates?: string | undefined;
  signal?: AbortSignal;
}

/**
 * Asks the registry of `domain`. Returns what is to be kept: a refresh token in place of the password, where the registry's token
 * service gives one. Throws `UNAUTHORIZED`, `NETWORK`, `REGISTRY`.
 */
export async function checkLogin(
  domain: string,
  credentials: Credentials,
  options: LoginOptions = {},
): Promise<Credentials> {
  const settings = options.settings ?? loadRegistrySettings();
  const http = new HttpClient(settings, undefined, options.certificates);
  let identityToken: string | undefined;
  const registry = new Registry({
    endpoint: registryEndpoint(domain),
    http,
    settings,
    credentials: async () => credentials,
    signal: options.signal,
    onRefreshToken: (token) => {
      identityToken = token;
    },
  });
  try {
    const { url, status, statusMessage } = await registry.check();
    if (status !== 200) {
      const code = status === 401 || status === 403 ? 'UNAUTHORIZED' : 'REGISTRY';
      const hint =
        status === 404 ? 'no registry answers there: check host and port' : 'check the name and the password';
      throw new TsrunError(code, `login attempt to ${url.href} failed with status: ${status} ${statusMessage}`, {
        hint,
      });
    }
  } finally {
    http.close();
  }
  const { username, password } = credentials;
  const refresh = identityToken ?? credentials.identityToken;
  return refresh === undefined ? credentials : { username, password, identityToken: refresh };
}
