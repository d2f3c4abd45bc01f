/** The STATUS column and the names of states, in docker's words. */
import type { ContainerState } from '../../container/record.ts';
import { humanDuration, timeAgo } from '../units.ts';

/** `Up 3 minutes`, `Exited (0) 2 hours ago`, `Created`. */
export function statusText(state: ContainerState, now = new Date()): string {
  if (state.status === 'running' || state.status === 'paused') {
    const since = state.startedAt === undefined ? 0 : now.getTime() - Date.parse(state.startedAt);
    const paused = state.status === 'paused' ? ' (Paused)' : '';
    // Its monitor was killed: nobody will learn its exit code.
    const unsupervised = state.unsupervised ? ' (unsupervised)' : '';
    return `Up ${humanDuration(Math.max(0, since))}${paused || healthText(state)}${unsupervised}`;
  }
  if (state.status === 'restarting') {
    const ended = state.finishedAt === undefined ? '' : ` ${timeAgo(new Date(state.finishedAt), now)}`;
    return `Restarting (${state.exitCode})${ended}`;
  }
  if (state.status === 'created') return 'Created';
  if (state.status === 'dead') return 'Dead';
  const ago = state.finishedAt === undefined ? '' : ` ${timeAgo(new Date(state.finishedAt), now)}`;
  return `Exited (${state.exitCode})${ago}`;
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
  return `${date} ${clock} ${offset} ${zoneName(time, offset)}`;
}

function zoneName(time: Date, offset: string): string {
  if (offset === '+0000') return 'UTC';
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(time);
  const name = parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
  return /^[A-Z]{3,5}$/.test(name) ? name : offset.replace(/00$/, '');
}
