/** `--chmod` of COPY and ADD: octal, or symbolic as chmod(1) takes it: `u=rwX,go=rX`. No umask counts. */
import { TsrunError } from '../../error.ts';

const sticky = 0o1000;
/** What is beyond permissions, by who: `s` of owner and group, `t` of others. */
const special: Readonly<Record<string, number>> = { u: 0o4000, g: 0o2000, o: sticky };
const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const everybody = ['u', 'g', 'o'];

interface Action {
  /** Of `u`, `g`, `o`. */
  who: readonly string[];
  operator: '+' | '-' | '=';
  /** Letters of `rwxXst`, or one of `ugo`, whose permissions are copied. */
  permissions: string;
}

/** What a file's mode becomes. */
export class ModeChange {
  private constructor(
    /** As it is written: what a result depends on. */
    readonly text: string,
    private readonly octal: number | undefined,
    private readonly actions: readonly Action[],
  ) {}

  /** Throws `USAGE`. */
  static parse(text: string): ModeChange {
    if (/^[0-7]{1,4}$/.test(text)) return new ModeChange(text, Number.parseInt(text, 8), []);
    const clauses = text.split(',').map((clause) => /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(clause));
    const actions = clauses.flatMap((match) => (match === null ? [] : actionsOf(match[1] ?? '', match[2] ?? '')));
    if (clauses.includes(null)) {
      throw new TsrunError(
        'USAGE',
        `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777, or symbolic as chmod takes it`,
        { hint: 'write --chmod=644, or --chmod=u=rwX,go=rX' },
      );
    }
    return new ModeChange(text, undefined, actions);
  }

  /** The mode (07777) that a file or directory of `mode` gets. */
  apply(mode: number, isDirectory: boolean): number {
    if (this.octal !== undefined) return this.octal;
    return this.actions.reduce((current, action) => changed(current, action, isDirectory), mode);
  }
}

function actionsOf(written: string, text: string): Action[] {
  const who = written === '' || written.includes('a') ? everybody : everybody.filter((each) => written.includes(each));
  return [...text.matchAll(/([-+=])([^-+=]*)/g)].map(([, operator, permissions = '']) => ({
    who,
    operator: operator as Action['operator'],
    permissions,
  }));
}

function changed(mode: number, { who, operator, permissions }: Action, isDirectory: boolean): number {
  let bits = 0;
  let all = 0;
  for (const each of who) {
    const shift = shifts[each] ?? 0;
    bits |= permissionBits(permissions, mode, isDirectory) << shift;
    const own = special[each] ?? 0;
    if (permissions.includes(own === sticky ? 't' : 's')) bits |= own;
    all |= (0o7 << shift) | own;
  }
  if (operator === '+') return mode | bits;
  if (operator === '-') return mode & ~bits;
  // As chmod(1): what a directory has beyond permissions goes only where it is named.
  const kept = isDirectory ? mode & (0o6000 & ~bits) : 0;
  return (mode & ~all) | bits | kept;
}

/** Of one of owner, group and others. */
function permissionBits(permissions: string, mode: number, isDirectory: boolean): number {
  const copied = shifts[permissions];
  if (copied !== undefined) return (mode >> copied) & 0o7;
  const executable = permissions.includes('x') || (permissions.includes('X') && (isDirectory || (mode & 0o111) !== 0));
  return (permissions.includes('r') ? 4 : 0) | (permissions.includes('w') ? 2 : 0) | (executable ? 1 : 0);
}
