import { expect, test } from 'vitest';
import { compileEventFilter, eventLine } from '../../../../src/cli/views/events.ts';
import { formatEvent } from '../../../../src/container/events.ts';
import { parseEvent, type RecordedEvent } from '../../../../src/container/read-events.ts';

function recorded(action: string, attributes: Record<string, string> = {}, type: 'container' | 'image' = 'container') {
  const line = formatEvent({ type, action, id: 'c0ffee', attributes }, 1_764_201_600_123_456_789n).trimEnd();
  const event = parseEvent(line);
  if (event === undefined) throw new Error(`no event: ${line}`);
  return event;
}

test('a line is that of docker: nanoseconds, attributes by name, none without parentheses', () => {
  const zone = process.env.TZ;
  process.env.TZ = 'UTC';
  try {
    expect(eventLine(recorded('die', { name: 'web', image: 'busybox', exitCode: '3' }))).toBe(
      '2025-11-27T00:00:00.123456789Z container die c0ffee (exitCode=3, image=busybox, name=web)',
    );
    expect(eventLine(recorded('pull', {}, 'image'))).toBe('2025-11-27T00:00:00.123456789Z image pull c0ffee');
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});

test('what is no whole event is passed over', () => {
  const { line } = recorded('die', { name: 'web' });
  for (const damaged of [line.slice(0, -20), line.slice(5), '', '{}', '{"timeNano":1}']) {
    expect(parseEvent(damaged)).toBeUndefined();
  }
});

const web = recorded('die', { name: 'web', image: 'busybox:1', tier: 'front' });
const check = recorded('health_status: healthy', { name: 'web', image: 'busybox:1' });
const pull = recorded('pull', { name: 'busybox:1' }, 'image');

test.each<[string[], RecordedEvent, boolean]>([
  [[], web, true],
  [['event=die'], web, true],
  [['event=start', 'event=die'], web, true],
  [['event=di'], web, false],
  [['event=health_status'], check, true],
  [['event=health_status: unhealthy'], check, false],
  [['type=image'], web, false],
  [['type=container', 'event=die', 'container=web'], web, true],
  [['container=we'], web, true],
  [['container=c0f'], web, true],
  [['container=eb'], web, false],
  [['image=busybox'], web, true],
  [['image=busybox:1'], pull, true],
  [['image=debian'], web, false],
  [['label=tier'], web, true],
  [['label=tier=front', 'label=x'], web, false],
])('filter %s', (filters, event, expected) => {
  expect(compileEventFilter(filters)(event)).toBe(expected);
});

test('a filter that docker does not know is refused', () => {
  expect(() => compileEventFilter(['foo=bar'])).toThrow("Invalid filter 'foo'");
});
