/** Platforms as `os/architecture[/variant]` in Go's names (OCI image-index.md, "platform"), and the choice among several. */
import { TsrunError } from '../error.ts';

export interface Platform {
  os: string;
  architecture: string;
  /** `v7` of arm/v7; empty where the architecture has one kind only. */
  variant: string;
}

/** Names that uname(1), dpkg and people use for what Go calls otherwise. */
const architectureAliases: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  x64: 'amd64',
  aarch64: 'arm64',
  armhf: 'arm/v7',
  armel: 'arm/v6',
  i386: '386',
  i686: '386',
  ia32: '386',
};

/** Architectures that `--platform` takes without an operating system before them. */
const knownArchitectures = new Set(
  '386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm'.split(' '),
);

/** Variants that mean the same as none: the lowest of the architecture that anyone ships. */
function normalizeVariant(architecture: string, variant: string): string {
  const version = /^[0-9]+$/.test(variant) ? `v${variant}` : variant;
  if (architecture === 'arm64' && version === 'v8') return '';
  if (architecture === 'amd64' && version === 'v1') return '';
  if (architecture === 'arm' && version === '') return 'v7';
  return version;
}

/** The form in which platforms are compared. */
export function normalizePlatform(os: string, architecture: string, variant: string): Platform {
  const lower = architecture.toLowerCase();
  const alias = Object.hasOwn(architectureAliases, lower) ? (architectureAliases[lower] as string) : lower;
  const [name = '', impliedVariant = ''] = alias.split('/');
  return {
    os: os.toLowerCase(),
    architecture: name,
    variant: normalizeVariant(name, variant === '' ? impliedVariant : variant.toLowerCase()),
  };
}

/** What this machine runs. */
export function hostPlatform(): Platform {
  return normalizePlatform('linux', process.arch, '');
}

/** Reads the value of --platform: `linux/arm64/v8`, `arm64`, `linux`. Throws `USAGE`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const wellFormed = parts.length <= 3 && parts.every((part) => /^\w[\w.-]*$/.test(part));
  const [first = '', second, third = ''] = parts;
  if (wellFormed && second !== undefined) return normalizePlatform(first, second, third);
  if (wellFormed && /^(linux|windows|darwin|freebsd)$/i.test(first)) {
    return { ...hostPlatform(), os: first.toLowerCase() };
  }
  const alone = normalizePlatform('linux', first, '');
  if (wellFormed && knownArchitectures.has(alone.architecture)) return alone;
  throw new TsrunError('USAGE', `${JSON.stringify(text)} is not a platform`, {
    hint: text.includes(',')
      ? 'an image has one platform: make one for each, and put them together by tsrun manifest create'
      : 'write os/architecture[/variant], for example linux/amd64 or linux/arm/v7',
  });
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  const variant = platform.variant === '' ? '' : `/${platform.variant}`;
  return `${platform.os}/${platform.architecture}${variant}`;
}

/** `v7` -> 7; no variant counts as the lowest. */
function level(platform: Platform): number {
  const match = /^v([0-9]+)/.exec(platform.variant);
  return match === null ? 0 : Number(match[1]);
}

/**
 * How well an image for `candidate` serves who wants `wanted`: undefined not at all, else higher is better. A machine
 * runs code for lower levels of its own architecture too (arm/v6 on arm/v7, amd64 on amd64/v3), never for higher ones.
 */
export function platformScore(wanted: Platform, candidate: Platform): number | undefined {
  if (candidate.os !== wanted.os || candidate.architecture !== wanted.architecture) return undefined;
  if (candidate.variant === wanted.variant) return 1000;
  if (level(candidate) > level(wanted)) return undefined;
  return level(candidate);
}

/** Whether an image for `actual` may run where `wanted` was asked for. */
export function platformMatches(wanted: Platform, actual: Platform): boolean {
  return platformScore(wanted, actual) !== undefined;
}
