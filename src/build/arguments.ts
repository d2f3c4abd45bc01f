/**
 * ARG: which values the variables of a build have (Dockerfile reference, "ARG"): those of the command line, defaults, those
 * that are there without being asked for, and the proxies, which reach commands but no image and no cache.
 */
import { formatPlatform, type Platform } from '../image/platform.ts';

const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];
const predefined = new Set(proxies.flatMap((name) => [name, name.toLowerCase()]));

/** Settings of BuildKit, which say nothing to commands; nobody has to declare them. */
const settings = /^(BUILDKIT_|SOURCE_DATE_EPOCH$)/;

/** Variables of the platforms; a stage has them where it declares them. */
export function platformArguments(build: Platform, target: Platform, stage: string): Map<string, string> {
  const of = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant],
  ];
  return new Map([...of('BUILD', build), ...of('TARGET', target), ['TARGETSTAGE', stage]]);
}

/** The arguments of one build. */
export class BuildArguments {
  private readonly used = new Set<string>();
  /** What is declared before the first FROM. */
  private readonly global = new Map<string, string | undefined>();

  /** `given`: of the command line. `automatic`: of the platforms. */
  constructor(
    private readonly given: ReadonlyMap<string, string>,
    private readonly automatic: ReadonlyMap<string, string>,
  ) {}

  /** An ARG before the first FROM. */
  declareGlobal(name: string, fallback: string | undefined): void {
    this.used.add(name);
    this.global.set(name, this.given.get(name) ?? fallback ?? this.automatic.get(name));
  }

  /** The variables that a FROM may use. */
  globals(): Map<string, string> {
    const result = new Map(this.automatic);
    for (const [name, value] of this.global) if (value !== undefined) result.set(name, value);
    return result;
  }

  /** The value that an ARG of a stage has; undefined where it has none. */
  declare(name: string, fallback: string | undefined): string | undefined {
    this.used.add(name);
    return this.given.get(name) ?? fallback ?? this.global.get(name) ?? this.automatic.get(name);
  }

  /** What commands get without an ARG. */
  proxies(): Map<string, string> {
    return new Map([...this.given].filter(([name]) => predefined.has(name)));
  }

  /** Names of the command line that no ARG has asked for. */
  unused(): string[] {
    return [...this.given.keys()].filter(
      (name) => !this.used.has(name) && !predefined.has(name) && !settings.test(name),
    );
  }
}
