/** The STATUS column and the names of states, in docker's words. */
import type { ContainerState } from '../../container/record.ts';
import { humanDuration } from '../units.ts';
import { localAbbreviation } from './time-zone.ts';

/** A status without the time that goes by: `Up `, since when (milliseconds since the epoch), ` (healthy)`. */
export interface StatusParts {
  before: string;
  since?: number;
  after: string;
}

/** What `statusText` is made of; it stays the same as long as the state does. */
export function statusParts(state: ContainerState): StatusParts {
  if (state.status === 'running' || state.status === 'paused') {
    const paused = state.status === 'paused' ? ' (Paused)' : '';
    // Its monitor was killed: nobody will learn its exit code.
    const unsupervised = state.unsupervised ? ' (unsupervised)' : '';
    const after = `${paused || healthText(state)}${unsupervised}`;
    const since = Date.parse(state.startedAt ?? '');
    return Number.isNaN(since) ? { before: `Up ${humanDuration(0)}`, after } : { before: 'Up ', since, after };
  }
  if (state.status === 'created') return { before: 'Created', after: '' };
  if (state.status === 'dead') return { before: 'Dead', after: '' };
  const before = `${state.status === 'restarting' ? 'Restarting' : 'Exited'} (${state.exitCode})`;
  if (state.finishedAt === undefined) return { before, after: '' };
  const since = Date.parse(state.finishedAt);
  // As timeAgo has it.
  return Number.isNaN(since) ? { before, after: ' N/A' } : { before: `${before} `, since, after: ' ago' };
}

/** The text of a status at a moment, in milliseconds. */
export function formatStatus({ before, since, after }: StatusParts, now: number): string {
  return since === undefined ? before + after : `${before}${humanDuration(Math.max(0, now - since))}${after}`;
}

/** `Up 3 minutes`, `Exited (0) 2 hours ago`, `Created`. */
export function statusText(state: ContainerState, now = new Date()): string {
  return formatStatus(statusParts(state), now.getTime());
}

function healthText({ health }: ContainerState): string {
  if (health === undefined) return '';
  return health.Status === 'starting' ? ' (health: starting)' : ` (${health.Status})`;
}

/** `2026-01-02 03:04:05 +0000 UTC`, in the local time zone: Go's String of a time in whole seconds. */
export function localTime(rfc3339: string): string {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) return '';
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const minutes = -time.getTimezoneOffset();
  const offset = `${minutes < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`;
  return `${date} ${clock} ${offset} ${zoneName(time, offset, minutes)}`;
}

function zoneName(time: Date, offset: string, minutes: number): string {
  if (offset === '+0000') return 'UTC';
  return localAbbreviation(time, minutes) ?? nameWithoutFile(time) ?? offset.replace(/00$/, '');
}

function nameWithoutFile(time: Date): string | undefined {
  if (typeof Intl === 'undefined') return undefined;
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(time);
  const name = parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
  return /^[A-Z]{3,5}$/.test(name) ? name : undefined;
}
