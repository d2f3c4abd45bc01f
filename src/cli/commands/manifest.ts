/** `tsrun manifest create|annotate|inspect|push|rm`: images of several platforms under one name. */
import { TsrunError } from '../../error.ts';
import { entryOf, formatManifestList, ManifestLists, platformDocument } from '../../image/manifest-lists.ts';
import { loadRegistrySettings } from '../../image/mirrors.ts';
import { fetchEntry, fetchManifest, fetchPlatform, pushManifestList } from '../../image/push/manifest-list-push.ts';
import { Push } from '../../image/push/push.ts';
import { familiarName, formatReference, parseReference, type Reference } from '../../image/reference.ts';
import { ImageStore } from '../../image/store.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Flag } from '../flag.ts';
import { beginInterruption } from '../interrupt.ts';
import { print, printError } from '../output.ts';
import { printForeign } from '../terminal.ts';
import { certificatesFlag, certificatesOf } from './registry-flags.ts';

const insecureFlag: Flag = {
  name: 'insecure',
  type: 'bool',
  description: 'Allow a registry without TLS, or with a certificate that nobody knows',
};

/** A session with the registry and repository of a name. */
function sessionFor(reference: Reference, flags: ParsedFlags): Push {
  const settings = loadRegistrySettings();
  if (flags.boolean('insecure')) settings.insecure.add(reference.domain);
  return new Push(new ImageStore(), reference, {
    settings,
    certificates: certificatesOf(flags),
    signal: beginInterruption(),
    onProgress: (event) => {
      if (event.kind === 'warning') printError(`WARNING: ${event.text}`);
    },
  });
}

const lists = (): ManifestLists => new ManifestLists(new ImageStore().root);

function noSuchList(text: string): TsrunError {
  return new TsrunError('NOT_FOUND', `No such manifest: ${familiarName(parseReference(text))}`, {
    hint: 'tsrun manifest create makes a manifest list',
  });
}

export const manifestCreate: Command = {
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]',
  description: 'Put manifests of a registry together to a list, for annotating and pushing it',
  flags: [
    { name: 'amend', short: 'a', type: 'bool', description: 'Add to a list that is there' },
    certificatesFlag,
    insecureFlag,
  ],
  args: { min: 2 },
  async run({ flags, args: [name = '', ...manifests] }) {
    const reference = parseReference(name);
    const store = lists();
    const before = store.find(reference);
    if (before !== undefined && !flags.boolean('amend')) {
      throw new TsrunError('CONFLICT', 'refusing to amend an existing manifest list with no --amend flag');
    }
    const entries = [...(before?.entries ?? [])];
    for (const text of manifests) {
      const from = parseReference(text);
      const session = sessionFor(from, flags);
      const entry = await session.run(() => fetchEntry(session, from));
      const index = entries.findIndex(({ reference: known }) => known === entry.reference);
      if (index === -1) entries.push(entry);
      else entries[index] = entry;
    }
    store.save(reference, entries);
    print(`Created manifest list ${formatReference(reference)}\n`);
    return 0;
  },
};

export const manifestAnnotate: Command = {
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
  description: 'Say what a manifest of a list is for',
  flags: [
    { name: 'arch', type: 'string', description: 'Architecture' },
    { name: 'os', type: 'string', description: 'Operating system' },
    { name: 'os-features', type: 'list', description: 'Features that the operating system must have' },
    { name: 'os-version', type: 'string', description: 'Version of the operating system' },
    { name: 'variant', type: 'string', description: 'Variant of the architecture' },
  ],
  args: { min: 2, max: 2 },
  async run({ flags, args: [name = '', manifest = ''] }) {
    const reference = parseReference(name);
    const store = lists();
    const list = store.find(reference);
    if (list === undefined) throw noSuchList(name);
    const entry = entryOf(list, manifest);
    const { platform } = entry;
    platform.architecture = flags.string('arch') ?? platform.architecture;
    platform.os = flags.string('os') ?? platform.os;
    platform.osVersion = flags.string('os-version') ?? platform.osVersion;
    platform.variant = flags.string('variant') ?? platform.variant;
    const features = flags.strings('os-features').flatMap((text) => text.split(','));
    platform.osFeatures = [...new Set([...platform.osFeatures, ...features])];
    store.save(reference, list.entries);
    return 0;
  },
};

export const manifestInspect: Command = {
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  description: 'Show a manifest, or a manifest list',
  flags: [
    certificatesFlag,
    insecureFlag,
    { name: 'verbose', short: 'v', type: 'bool', description: 'Say more: names, descriptors, platforms' },
  ],
  args: { min: 1, max: 2 },
  async run({ flags, args: [first = '', second] }) {
    if (second !== undefined) {
      const list = lists().find(parseReference(first));
      if (list === undefined) throw noSuchList(first);
      const reference = parseReference(entryOf(list, second).reference);
      await printRemote(reference, flags);
      return 0;
    }
    const reference = parseReference(first);
    const local = lists().find(reference);
    if (local === undefined) await printRemote(reference, flags);
    else printForeign(`${formatManifestList(local).bytes.toString()}\n`);
    return 0;
  },
};

async function printRemote(reference: Reference, flags: ParsedFlags): Promise<void> {
  const session = sessionFor(reference, flags);
  await session.run(async () => {
    const remote = await fetchManifest(session, reference);
    const document: unknown = JSON.parse(remote.bytes.toString('utf8'));
    if (!flags.boolean('verbose')) {
      printForeign(`${JSON.stringify(document, undefined, remote.kind === 'index' ? 3 : '\t')}\n`);
      return;
    }
    if (remote.kind === 'manifest') {
      printForeign(`${JSON.stringify(await described(session, remote), undefined, '\t')}\n`);
      return;
    }
    const { manifests } = document as { manifests: { digest: string }[] };
    const all: object[] = [];
    for (const { digest } of manifests) {
      const one = parseReference(`${reference.domain}/${reference.path}@${digest}`);
      all.push(await described(session, await fetchManifest(session, one)));
    }
    printForeign(`${JSON.stringify(all, undefined, '\t')}\n`);
  });
}

async function described(session: Push, remote: Awaited<ReturnType<typeof fetchManifest>>): Promise<object> {
  const { mediaType, digest, size, bytes, reference } = remote;
  const platform = platformDocument(await fetchPlatform(session, remote));
  const content: unknown = JSON.parse(bytes.toString('utf8'));
  return {
    Ref: formatReference(reference),
    Descriptor: { mediaType, digest, size, platform },
    Raw: bytes.toString('base64'),
    [mediaType.includes('.docker.') ? 'SchemaV2Manifest' : 'OCIManifest']: content,
  };
}

export const manifestPush: Command = {
  usage: '[OPTIONS] MANIFEST_LIST',
  description: 'Push a manifest list to its registry',
  flags: [
    certificatesFlag,
    insecureFlag,
    { name: 'purge', short: 'p', type: 'bool', description: 'Remove the list here afterwards' },
  ],
  args: { min: 1, max: 1 },
  async run({ flags, args: [name = ''] }) {
    const reference = parseReference(name);
    const store = lists();
    const list = store.find(reference);
    if (list === undefined) throw noSuchList(name);
    const session = sessionFor(reference, flags);
    const digest = await session.run(() =>
      pushManifestList(session, list, reference, (pushed, of) => print(`Pushed ref ${pushed} with digest: ${of}\n`)),
    );
    if (flags.boolean('purge')) store.remove(reference);
    print(`${digest}\n`);
    return 0;
  },
};

export const manifestRm: Command = {
  usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
  description: 'Remove manifest lists that were made here',
  flags: [],
  args: { min: 1 },
  async run({ args }) {
    const store = lists();
    let code = 0;
    for (const name of args) {
      const reference = parseReference(name);
      if (store.remove(reference)) continue;
      printError(`No such manifest: ${familiarName(reference)}`);
      code = 1;
    }
    return code;
  },
};
