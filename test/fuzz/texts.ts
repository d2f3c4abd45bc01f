/** Texts from outside: references, documents of registries, their challenges, lines of logs. */
import { parseLogLine } from '../../src/container/logs.ts';
import { parseChallenges } from '../../src/image/challenge.ts';
import { parseConfig } from '../../src/image/config.ts';
import { parseManifest } from '../../src/image/manifest.ts';
import { familiarName, formatReference, parseReference, repositoryName } from '../../src/image/reference.ts';
import { holds, processorTime, refusing, type Target } from './target.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

const reference: Target = {
  name: 'reference',
  words: ['/', ':', '@', digest, '..', 'localhost:5000/', 'docker.io/', '[::1]:5', '%2f', '\n', '_', '-', 'İ', '\0'],
  run(input) {
    const text = input.toString();
    const parsed = refusing(() => parseReference(text));
    if (parsed === undefined) return;
    const whole = formatReference(parsed);
    holds(
      formatReference(parseReference(whole)) === whole,
      `${JSON.stringify(whole)} is another when it is read again`,
    );
    holds(formatReference(parseReference(familiarName(parsed))) === whole, `${familiarName(parsed)} is not ${whole}`);
    // It becomes a part of URLs and of file names.
    for (const part of repositoryName(parsed).split('/')) holds(part !== '' && part !== '.' && part !== '..', 'walks');
    holds(!/[\s?#%\\\0]/.test(whole), `${JSON.stringify(whole)} has characters that a URL reads otherwise`);
  },
};

const source = { name: 'the document', code: 'CORRUPT' } as const;
const types = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  '',
];
const jsonWords = [
  ...[
    '{}',
    '[]',
    'null',
    '-1',
    '1e999',
    '9007199254740993',
    '"\\u0000"',
    '"__proto__":{"x":1}',
    '"layers":',
    '"digest":',
  ],
  ...['"config":', '"manifests":', '"size":', '"mediaType":', `"${digest}"`, ...types.map((type) => `"${type}"`)],
];

const manifest: Target = {
  name: 'manifest',
  words: jsonWords,
  run(input) {
    for (const type of types) {
      const parsed = refusing(() => parseManifest(input, type, source));
      if (parsed === undefined) continue;
      const descriptors = 'layers' in parsed ? [parsed.config, ...parsed.layers] : parsed.entries;
      for (const { digest, size } of descriptors) {
        holds(/^[a-z0-9]+:[0-9a-f]{64,}$/.test(digest), `${JSON.stringify(digest)} is taken for a digest`);
        holds(Number.isSafeInteger(size) && size >= 0, `${size} is taken for a size`);
      }
    }
    holds(!('x' in {}), 'a document has changed all objects');
  },
};

const config: Target = {
  name: 'config',
  words: [
    ...jsonWords,
    '"rootfs":',
    '"diff_ids":',
    '"config":',
    '"Env":',
    '"Healthcheck":',
    '"ExposedPorts":',
    '"history":',
  ],
  run(input) {
    const parsed = refusing(() => parseConfig(input, source));
    if (parsed === undefined) return;
    for (const id of parsed.diffIds)
      holds(/^sha256:[0-9a-f]{64}$/.test(id), `${JSON.stringify(id)} is taken for a diffID`);
    for (const entry of parsed.execution.env)
      holds(typeof entry === 'string', 'an environment of something else than text');
  },
};

const challenge: Target = {
  name: 'challenge',
  words: ['Bearer ', 'Basic ', 'realm="', '"', ',', '=', '\\"', 'scope="repository:a:pull"', '\t', ' ', 'service='],
  run(input) {
    const began = processorTime();
    const text = input.toString('latin1');
    for (const { scheme, parameters } of parseChallenges(text)) {
      holds(/^[!-~]+$/.test(scheme), 'a scheme that is no token');
      for (const name of parameters.keys()) holds(name === name.toLowerCase(), 'a name that is not in lower case');
    }
    holds(processorTime() - began < 1000, `${text.length} characters took more than a second`);
  },
};

const log: Target = {
  name: 'log',
  words: ['stdout', 'stderr', ' F ', ' P ', '2026-01-02T03:04:05.678901234Z', ' ', '\0'],
  run(input) {
    const line = input.subarray(0, input.indexOf(0x0a) < 0 ? input.length : input.indexOf(0x0a));
    const record = parseLogLine(line);
    if (record === undefined) return;
    holds(record.stream === 'stdout' || record.stream === 'stderr', 'a third stream');
    holds(record.data.length <= line.length + 1, 'more than was written');
  },
};

export const textTargets: readonly Target[] = [reference, manifest, config, challenge, log];
