/**
 * Sizes and times in the words that docker has for them (the rules of github.com/docker/go-units, and of Go's
 * time.ParseDuration).
 */

const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];
const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];

/** `digits` significant digits, without zeros at the end: C's %.{digits}g for numbers below 10^6. */
function significant(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  return significant(size, digits) + units[unit];
}

/** `1.98MB`: powers of 1000, as docker prints sizes of images and containers. */
export function humanSize(bytes: number, digits = 3): string {
  return scaled(bytes, 1000, decimalUnits, digits);
}

/** `23.54GiB`: powers of 1024, as docker prints memory. */
export function binarySize(bytes: number): string {
  return scaled(bytes, 1024, binaryUnits, 4);
}

const powers = 'kmgtp';

/** Bytes of `64m`, `1g`, `1.5GiB`, `1024`: k is 1024 whatever is written behind it. Throws with docker's words. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?$/i.exec(text);
  const power = match?.[2] === undefined ? 0 : powers.indexOf(match[2].toLowerCase()) + 1;
  const bytes = match === null ? Number.NaN : Math.trunc(Number(match[1]) * 1024 ** power);
  if (!Number.isSafeInteger(bytes)) throw new Error(`invalid size: '${text}'`);
  return bytes;
}

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** A span of time in words: `3 minutes`, `About an hour`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  const minutes = Math.trunc(seconds / minute);
  const hours = Math.round(milliseconds / 1000 / hour);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const days = Math.trunc(hours / 24);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.trunc(days / 7)} weeks`;
  if (days < 730) return `${Math.trunc(days / 30)} months`;
  return `${Math.trunc(seconds / day / 365)} years`;
}

/** `3 minutes ago`, or docker's N/A for a time that is not known. */
export function timeAgo(then: Date, now = new Date()): string {
  if (Number.isNaN(then.getTime())) return 'N/A';
  return `${humanDuration(Math.max(0, now.getTime() - then.getTime()))} ago`;
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of `1h30m`, `1.5s`, `300ms`; undefined for what is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return text === '0' ? 0 : undefined;
  let total = 0;
  for (const [, amount, unit = ''] of (match[2] ?? '').matchAll(/([\d.]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g)) {
    total += Number(amount) * (durationUnits[unit] ?? 0);
  }
  return match[1] === '-' ? -total : total;
}

/** Months, hours and minutes that there are: engines differ in what they make of others. */
const momentPattern =
  /^(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?:T([01]\d|2[0-3])(?::([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?$/;

/**
 * A moment as `logs --since` takes it: RFC 3339 with any precision (local time without a zone), a date, seconds since
 * 1970, or a span before `now`. Answers RFC 3339 in UTC with nanoseconds, whose order is that of the text; undefined
 * for what is none of these.
 */
export function parseMoment(text: string, now = new Date()): string | undefined {
  const span = parseDuration(text);
  if (span !== undefined && text !== '0') return nanoseconds(new Date(now.getTime() - span), 0);
  const unix = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return nanoseconds(new Date(Number(unix[1]) * 1000), Number((unix[2] ?? '').padEnd(9, '0')));
  const match = momentPattern.exec(text);
  if (match === null) return undefined;
  const [, date, hours = '00', minutes = '00', seconds = '00', fraction = '', zone = ''] = match;
  const moment = new Date(`${date}T${hours}:${minutes}:${seconds}${zone}`);
  return Number.isNaN(moment.getTime()) ? undefined : nanoseconds(moment, Number(fraction.padEnd(9, '0')));
}

/** RFC 3339 of a moment of whole seconds (or milliseconds) and nanoseconds on top. */
function nanoseconds(moment: Date, extra: number): string {
  const total = moment.getUTCMilliseconds() * 1e6 + extra;
  const whole = new Date(Math.floor(moment.getTime() / 1000) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(total).padStart(9, '0')}Z`;
}

/** RFC 3339 in UTC made comparable as text: nine digits behind the point. */
export function comparableTime(rfc3339: string): string {
  return parseMoment(rfc3339) ?? rfc3339;
}
