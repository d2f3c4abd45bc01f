/** Go's fmt.Sprint, Sprintln and Sprintf for the values of templates. */
import { display, GoMap, isList, isStruct, noValue, typeName, type Value } from './value.ts';

/** Operands one behind the other; a space between two when neither is a string. */
export function sprint(args: readonly Value[]): string {
  let text = '';
  args.forEach((arg, index) => {
    const before = args[index - 1];
    if (index > 0 && typeof arg !== 'string' && typeof before !== 'string') text += ' ';
    text += display(arg);
  });
  return text;
}

export function sprintln(args: readonly Value[]): string {
  return `${args.map(display).join(' ')}\n`;
}

interface Directive {
  flags: string;
  width: number | undefined;
  precision: number | undefined;
  verb: string;
}

/** A Go string constant; what cannot be printed is escaped. */
export function quote(text: string): string {
  // Nearly always; classes of Unicode cost a list more than all of its rows.
  if (/^[ -~…]*$/.test(text)) return `"${text.replace(/["\\]/g, '\\$&')}"`;
  const named: Readonly<Record<string, string>> = {
    '\x07': '\\a',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
    '"': '\\"',
    '\\': '\\\\',
  };
  return `"${text.replace(/["\\]|[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (named[character] !== undefined) return named[character];
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\U${code.toString(16).padStart(8, '0')}`;
  })}"`;
}

/** Formats as Go does, mistakes included: `%!d(string=x)`, `%!s(MISSING)`, `%!(EXTRA int=1)`. */
export function sprintf(format: string, args: readonly Value[]): string {
  let next = 0;
  let text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(%|[a-zA-Z]|$)/g,
    (whole, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      const amount = (word: string | undefined): number | undefined =>
        word === '*' ? Number(args[next++] ?? 0) : word === undefined ? undefined : Number(word);
      const directive: Directive = {
        flags,
        width: amount(width),
        precision: whole.includes('.') ? (amount(precision) ?? 0) : undefined,
        verb,
      };
      if (verb === '%') return '%';
      if (verb === '') return '%!(NOVERB)';
      const arg = args[next++];
      return arg === undefined ? `%!${verb}(MISSING)` : formatOne(directive, arg);
    },
  );
  if (next < args.length) {
    const extra = args.slice(next).map((arg) => `${typeName(arg)}=${display(arg)}`);
    text += `%!(EXTRA ${extra.join(', ')})`;
  }
  return text;
}

function formatOne(directive: Directive, arg: Value): string {
  if (directive.verb === 'T') return pad(directive, typeName(arg));
  if (directive.verb === 'v' && directive.flags.includes('+') && isStruct(arg)) {
    const fields = Object.entries(arg).filter(([, value]) => typeof value !== 'function');
    return pad(directive, `{${fields.map(([name, value]) => `${name}:${display(value)}`).join(' ')}}`);
  }
  if (directive.verb === 'v' && typeof arg !== 'number') return pad(directive, display(arg));
  if (isList(arg)) return `[${arg.map((item) => formatOne(directive, item)).join(' ')}]`;
  if (arg instanceof GoMap) {
    return `map[${[...arg.entries].map(([key, value]) => `${key}:${formatOne(directive, value)}`).join(' ')}]`;
  }
  const text = formatScalar(directive, arg);
  return text ?? `%!${directive.verb}(${typeName(arg)}=${display(arg)})`;
}

function formatScalar(directive: Directive, arg: Value): string | undefined {
  const { verb } = directive;
  if (typeof arg === 'string') {
    const cut = directive.precision === undefined ? arg : [...arg].slice(0, directive.precision).join('');
    if (verb === 's') return pad(directive, cut);
    if (verb === 'q') return pad(directive, quote(cut));
    if (verb === 'x') return pad(directive, Buffer.from(cut).toString('hex'));
    if (verb === 'X') return pad(directive, Buffer.from(cut).toString('hex').toUpperCase());
    return undefined;
  }
  if (typeof arg === 'boolean') return verb === 't' ? pad(directive, String(arg)) : undefined;
  if (typeof arg === 'number') return formatNumber(directive, arg);
  if (arg === null || arg === noValue) return undefined;
  return verb === 's' ? pad(directive, display(arg)) : undefined;
}

function formatNumber(directive: Directive, value: number): string | undefined {
  const digits = numberDigits(directive, value);
  if (digits === undefined) return undefined;
  const negative = value < 0;
  const sign = negative ? '-' : directive.flags.includes('+') ? '+' : directive.flags.includes(' ') ? ' ' : '';
  const zeros = directive.flags.includes('0') && !directive.flags.includes('-');
  if (zeros && directive.width !== undefined) return sign + digits.padStart(directive.width - sign.length, '0');
  return pad(directive, sign + digits);
}

function numberDigits({ verb, precision, flags }: Directive, value: number): string | undefined {
  const absolute = Math.abs(value);
  const prefixed = (prefix: string, text: string): string => (flags.includes('#') ? prefix + text : text);
  if (Number.isInteger(value)) {
    if (verb === 'd') return String(absolute).padStart(precision ?? 0, '0');
    if (verb === 'x') return prefixed('0x', absolute.toString(16));
    if (verb === 'X') return prefixed('0X', absolute.toString(16).toUpperCase());
    if (verb === 'o') return prefixed('0', absolute.toString(8));
    if (verb === 'O') return `0o${absolute.toString(8)}`;
    if (verb === 'b') return absolute.toString(2);
    if (verb === 'c') return String.fromCodePoint(absolute);
    if (verb === 'q') return `'${String.fromCodePoint(absolute)}'`;
    if (verb === 'U') return `U+${absolute.toString(16).toUpperCase().padStart(4, '0')}`;
  }
  if (verb === 'v') return String(absolute);
  if (verb === 'f' || verb === 'F') return absolute.toFixed(precision ?? 6);
  if (verb === 'e' || verb === 'E') {
    const text = absolute.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2');
    return verb === 'E' ? text.toUpperCase() : text;
  }
  if (verb === 'g' || verb === 'G') {
    return precision === undefined ? String(absolute) : String(Number(absolute.toPrecision(precision || 1)));
  }
  return undefined;
}

function pad({ flags, width }: Directive, text: string): string {
  if (width === undefined) return text;
  const missing = Math.max(0, Math.abs(width) - [...text].length);
  const left = flags.includes('-') || width < 0;
  return left ? text + ' '.repeat(missing) : ' '.repeat(missing) + text;
}
