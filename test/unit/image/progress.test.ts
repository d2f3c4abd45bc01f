import { describe, expect, test } from 'vitest';
import type { LayerEvent, PullEvent } from '../../../src/image/events.ts';
import { formatProgress, formatSize, ProgressView } from '../../../src/image/progress.ts';

const terminal = { terminal: true, columns: 120, rows: 24 };
const plain = { terminal: false, columns: 80, rows: 24 };

function layer(index: number, status: LayerEvent['status'], rest: Partial<LayerEvent> = {}): PullEvent {
  return { kind: 'layer', index, id: `${index}`.repeat(12), status, ...rest };
}

test.each([
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [553_000, '553kB'],
  [557_056, '557.1kB'],
  [23_400_000, '23.4MB'],
  [63_360_598, '63.36MB'],
  [1_500_000_000, '1.5GB'],
])('%i bytes are %s, as docker writes it', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

describe("docker's bar", () => {
  test.each([
    // as dockerd 28 prints them for a layer of 63.36 MB on a terminal of 120 columns
    [553_000, '[>                                                  ]    553kB/63.36MB'],
    [22_170_000, '[=================>                                 ]  22.17MB/63.36MB'],
    [44_320_000, '[==================================>                ]  44.32MB/63.36MB'],
    [62_390_000, '[=================================================> ]  62.39MB/63.36MB'],
    [63_360_598, '[==================================================>]  63.36MB/63.36MB'],
  ])('%i', (current, text) => {
    expect(formatProgress(current, 63_360_598, 120)).toBe(text);
  });

  test('is shorter where the terminal is narrow, and gone where there is no room', () => {
    expect(formatProgress(50, 100, 66)).toBe('[==========>          ]      50B/100B');
    expect(formatProgress(50, 100, 50)).toBe('     50B/100B');
    for (const columns of [20, 60, 80, 100, 200]) {
      const line = `a1b2c3d4e5f6: Downloading ${formatProgress(123_456_789, 987_654_321, columns)}`;
      if (columns >= 60) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  test('has no total where it is unknown or exceeded', () => {
    expect(formatProgress(500, 0, 120)).toBe('    500B');
    expect(formatProgress(500, 100, 120)).toBe('    500B');
  });
});

test('the whole of a pull, without a terminal', () => {
  const view = new ProgressView(plain);
  const events: PullEvent[] = [
    { kind: 'start', what: 'latest', repository: 'library/debian' },
    layer(1, 'Already exists'),
    layer(2, 'Pulling fs layer'),
    layer(2, 'Downloading', { current: 5, total: 10 }),
    layer(2, 'Retrying', { delay: 1 }),
    layer(2, 'Retrying', { delay: 2 }),
    layer(2, 'Downloading', { current: 10, total: 10 }),
    layer(2, 'Verifying Checksum'),
    layer(2, 'Download complete'),
    layer(2, 'Extracting', { current: 10, total: 10 }),
    layer(2, 'Pull complete'),
    {
      kind: 'end',
      digest: 'sha256:abc',
      changed: true,
      familiar: 'debian:latest',
      canonical: 'docker.io/library/debian:latest',
    },
  ];
  expect(events.map((event) => view.show(event)?.text ?? '').join('')).toBe(
    [
      'latest: Pulling from library/debian',
      '111111111111: Already exists',
      '222222222222: Pulling fs layer',
      '222222222222: Retrying in 1 second',
      '222222222222: Retrying in 2 seconds',
      '222222222222: Verifying Checksum',
      '222222222222: Download complete',
      '222222222222: Pull complete',
      'Digest: sha256:abc',
      'Status: Downloaded newer image for debian:latest',
      'docker.io/library/debian:latest',
      '',
    ].join('\n'),
  );
});

test('an image that was there already', () => {
  const end: PullEvent = { kind: 'end', digest: 'd', changed: false, familiar: 'debian:latest', canonical: 'c' };
  expect(new ProgressView(plain).show(end)?.text).toBe('Digest: d\nStatus: Image is up to date for debian:latest\nc\n');
});

test('a warning belongs on standard error', () => {
  expect(new ProgressView(plain).show({ kind: 'warning', text: 'x' })).toEqual({ text: 'WARNING: x\n', warning: true });
});

/** What a terminal of `columns` shows after such output: lines, the last one being the cursor's. */
function screen(output: string): string[] {
  const lines = [''];
  let row = 0;
  const tokens = output.matchAll(/\x1b\[(\d+)([AB])|\x1b\[2K|\r|\n|[^\x1b\r\n]+/g);
  for (const [token, count, direction] of tokens) {
    if (direction === 'A') row = Math.max(0, row - Number(count));
    else if (direction === 'B') row = Math.min(lines.length - 1, row + Number(count));
    else if (token === '\x1b[2K') lines[row] = '';
    else if (token === '\n') {
      row++;
      if (row === lines.length) lines.push('');
    } else if (token !== '\r') lines[row] = token;
  }
  return lines;
}

describe('on a terminal', () => {
  test('each layer keeps its line, whatever the order of events', () => {
    const view = new ProgressView(terminal);
    const events: PullEvent[] = [
      { kind: 'start', what: 'latest', repository: 'x' },
      layer(0, 'Pulling fs layer'),
      layer(1, 'Pulling fs layer'),
      layer(2, 'Pulling fs layer'),
      layer(2, 'Waiting'),
      layer(1, 'Downloading', { current: 1, total: 2 }),
      layer(0, 'Pull complete'),
      { kind: 'warning', text: 'w' },
      layer(1, 'Pull complete'),
      layer(2, 'Already exists'),
    ];
    const output = events.map((event) => view.show(event)?.text ?? '').join('');
    expect(screen(output)).toEqual([
      'latest: Pulling from x',
      '000000000000: Pull complete',
      '111111111111: Pull complete',
      '222222222222: Already exists',
      'WARNING: w',
      '',
    ]);
  });

  test('a line is redrawn in place as docker does it', () => {
    const view = new ProgressView(terminal);
    view.show(layer(0, 'Pulling fs layer'));
    view.show(layer(1, 'Pulling fs layer'));
    expect(view.show(layer(0, 'Waiting'))?.text).toBe('\x1b[2A\x1b[2K\r000000000000: Waiting\r\x1b[2B');
    expect(view.show(layer(1, 'Waiting'))?.text).toBe('\x1b[1A\x1b[2K\r111111111111: Waiting\r\x1b[1B');
    expect(view.show(layer(1, 'Waiting'))).toBeUndefined();
  });

  test('what has scrolled off the screen is left alone', () => {
    const view = new ProgressView({ terminal: true, columns: 80, rows: 3 });
    for (let index = 0; index < 5; index++) view.show(layer(index, 'Pulling fs layer'));
    expect(view.show(layer(0, 'Waiting'))).toBeUndefined();
    expect(view.show(layer(2, 'Waiting'))).toBeUndefined();
    expect(view.show(layer(3, 'Waiting'))?.text).toContain('\x1b[2A');
  });

  test('no line is longer than the terminal is wide', () => {
    for (const columns of [20, 40, 60, 80, 120]) {
      const view = new ProgressView({ terminal: true, columns, rows: 24 });
      view.show(layer(0, 'Pulling fs layer'));
      const text = view.show(layer(0, 'Downloading', { current: 123_456_789, total: 987_654_321 }))?.text ?? '';
      expect(screen(`x\n${text}`)[0]?.length ?? 0).toBeLessThanOrEqual(columns);
    }
  });
});
