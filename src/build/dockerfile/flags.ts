/** Flags of instructions: `--from=x`, `--link`, `--mount=…` (buildkit frontend/dockerfile/instructions/bflag.go). */
import { TsrunError } from '../../error.ts';
import type { Instruction } from './parser.ts';

/** `string`: once. `list`: as often as one likes. `bool`: `--link`, `--link=false`. */
export type FlagKinds = Readonly<Record<string, 'string' | 'list' | 'bool'>>;

export class InstructionFlags {
  private readonly values = new Map<string, string[]>();

  /** Throws `USAGE` for what the instruction does not know. */
  constructor({ name, flags }: Pick<Instruction, 'name' | 'flags'>, kinds: FlagKinds) {
    for (const flag of flags) {
      const [, key = '', value] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(flag) ?? [];
      const kind = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
      if (kind === undefined) {
        const all = Object.keys(kinds).map((each) => `--${each}`);
        const known = all.length === 0 ? `${name} has no flags` : `${name} has ${all.join(', ')}`;
        throw new TsrunError('USAGE', `unknown flag: --${key}`, { hint: known });
      }
      if (value === undefined && kind !== 'bool') throw new TsrunError('USAGE', `missing a value on flag: --${key}`);
      if (kind === 'bool' && !/^(true|false)?$/i.test(value ?? '')) {
        throw new TsrunError('USAGE', `expecting boolean value for flag --${key}, not: ${value}`);
      }
      const before = this.values.get(key);
      if (before !== undefined && kind !== 'list') throw new TsrunError('USAGE', `duplicate flag specified: --${key}`);
      this.values.set(key, [...(before ?? []), value ?? 'true']);
    }
  }

  string(name: string): string | undefined {
    return this.values.get(name)?.[0];
  }

  strings(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  boolean(name: string): boolean {
    return this.string(name)?.toLowerCase() === 'true';
  }
}
