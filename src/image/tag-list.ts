/** The tags of a repository, as its registry lists them (distribution-spec, "Listing Tags"): for `pull --all-tags`. */
import { type Credentials, credentialsFor } from './credentials.ts';
import { HttpClient } from './http.ts';
import { endpointsFor, loadRegistrySettings } from './mirrors.ts';
import { familiarRepository, type Reference } from './reference.ts';
import { Registry } from './registry.ts';

/** All tags, in the registry's order, from the first address that answers. Throws as `pull` does. */
export async function listTags(reference: Reference, signal: AbortSignal, certificates?: string): Promise<string[]> {
  const settings = loadRegistrySettings();
  const http = new HttpClient(settings, undefined, certificates);
  const credentials = (host: string): Promise<Credentials | undefined> => credentialsFor(host).catch(() => undefined);
  const repository = { path: reference.path, familiar: familiarRepository(reference) };
  let failure: unknown;
  try {
    for (const endpoint of endpointsFor(reference.domain, settings)) {
      try {
        return await new Registry({ endpoint, http, settings, credentials, signal }).tags(repository);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  } finally {
    http.close();
  }
}
