/** The flags of restart policies and health checks, with docker's checks and words. */
import type { RunOptions } from '../../container/run-options.ts';
import { TsrunError } from '../../error.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';
import { parseDuration } from '../units.ts';

function usage(message: string): TsrunError {
  return new TsrunError('USAGE', message);
}

/** Reads `no`, `always`, `unless-stopped`, `on-failure[:n]`; empty stands for `no`. Throws `USAGE`. */
export function parseRestartPolicy(text: string): RunOptions['restart'] {
  const [name = '', count, ...more] = text.split(':');
  if (more.length > 0) throw usage('invalid restart policy format');
  if (count !== undefined && !/^-?\d+$/.test(count)) throw usage('maximum retry count must be an integer');
  const policy = (['no', 'always', 'unless-stopped', 'on-failure'] as const).find((known) => known === (name || 'no'));
  if (policy === undefined) throw usage(`invalid restart policy '${name}'`);
  if (count !== undefined && policy !== 'on-failure') {
    throw usage(`maximum retry count cannot be used with restart policy '${policy}'`);
  }
  const maximumRetryCount = Number(count ?? 0);
  if (maximumRetryCount < 0) throw usage('maximum retry count cannot be negative');
  return { name: policy, maximumRetryCount };
}

function checkDuration(text: string): void {
  if (parseDuration(text) === undefined) throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
}

const duration = (name: string, description: string): Flag => ({
  name,
  type: 'duration',
  description,
  check: checkDuration,
});

/** --health-* and --no-healthcheck. */
export const healthFlags: readonly Flag[] = [
  { name: 'health-cmd', type: 'string', description: 'Command that says whether the container is healthy' },
  duration('health-interval', 'Time between two checks (ms|s|m|h)'),
  {
    name: 'health-on-failure',
    type: 'string',
    description: 'What to do when it is unhealthy (none|kill|restart)',
    shownDefault: '"none"',
  },
  { name: 'health-retries', type: 'int', description: 'Failures in a row that make it unhealthy' },
  duration('health-start-interval', 'Time between two checks in the start period (ms|s|m|h)'),
  duration('health-start-period', 'Time to start up, in which failures do not count (ms|s|m|h)'),
  duration('health-timeout', 'Time that a check may take (ms|s|m|h)'),
];

/** What the flags say of the health check; undefined: nothing. Throws `USAGE`. */
export function healthOf(flags: ParsedFlags): RunOptions['health'] {
  const milliseconds = (name: string): number => {
    const value = parseDuration(flags.string(name) ?? '0') ?? 0;
    if (value < 0) throw usage(`--${name} cannot be negative`);
    if (value > 0 && value < 1) {
      throw usage(`--${name} cannot be less than 1ms`);
    }
    return Math.round(value);
  };
  const action = flags.string('health-on-failure') || 'none';
  const onFailure = (['none', 'kill', 'restart'] as const).find((known) => known === action);
  if (onFailure === undefined) throw usage(`invalid --health-on-failure '${action}': there are none, kill and restart`);
  const health = {
    test: flags.string('health-cmd') ? ['CMD-SHELL', flags.string('health-cmd') ?? ''] : [],
    interval: milliseconds('health-interval'),
    timeout: milliseconds('health-timeout'),
    startPeriod: milliseconds('health-start-period'),
    startInterval: milliseconds('health-start-interval'),
    retries: flags.integer('health-retries') ?? 0,
    onFailure,
  };
  if (health.retries < 0) throw usage('--health-retries cannot be negative');
  const { test, onFailure: _, ...numbers } = health;
  const given = test.length > 0 || Object.values(numbers).some((value) => value > 0);
  if (flags.boolean('no-healthcheck')) {
    if (given) throw usage('--no-healthcheck conflicts with --health-* options');
    return { ...health, test: ['NONE'] };
  }
  return given || onFailure !== 'none' ? health : undefined;
}
