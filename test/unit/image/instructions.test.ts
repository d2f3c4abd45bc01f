import { describe, expect, test } from 'vitest';
import type { ImageExecution } from '../../../src/image/config.ts';
import { emptyExecution } from '../../../src/image/config-json.ts';
import { applyInstructions } from '../../../src/image/instructions.ts';
import { expandWord, splitWords } from '../../../src/image/shell-word.ts';

const apply = (...lines: string[]) => applyInstructions(lines, { ...emptyExecution(), env: ['A=1', 'HOME=/root'] });

describe('what the instructions make of a config', () => {
  const cases: [string[], Partial<ImageExecution>][] = [
    [['CMD ["a", "b c"]'], { cmd: ['a', 'b c'] }],
    [['cmd a $A'], { cmd: ['/bin/sh', '-c', 'a $A'] }],
    [['CMD'], { cmd: ['/bin/sh', '-c'] }],
    [['CMD [a]'], { cmd: ['/bin/sh', '-c', '[a]'] }],
    [['ENTRYPOINT []'], { entrypoint: [] }],
    [['ENTRYPOINT foo bar'], { entrypoint: ['/bin/sh', '-c', 'foo bar'] }],
    [['ENV A=2 B="2 3"', 'ENV C d  e'], { env: ['A=2', 'HOME=/root', 'B=2 3', 'C=d  e'] }],
    [[`ENV E=$A'x'"$B"\${HOME}`], { env: ['A=1', 'HOME=/root', 'E=1x/root'] }],
    [['ENV A=2', 'ENV B=$A'], { env: ['A=2', 'HOME=/root', 'B=2'] }],
    [
      ['EXPOSE 80 90/udp 100-102', 'EXPOSE 80'],
      { exposedPorts: ['100/tcp', '101/tcp', '102/tcp', '80/tcp', '90/udp'] },
    ],
    [['LABEL a=b "c d"=e', 'LABEL q $A'], { labels: { a: 'b', 'c d': 'e', q: '1' } }],
    [['ONBUILD RUN x'], { onBuild: ['RUN x'] }],
    [['USER a b'], { user: 'a b' }],
    [['VOLUME /b /a', 'VOLUME ["/c d"]'], { volumes: ['/a', '/b', '/c d'] }],
    [['WORKDIR a', 'WORKDIR ../b/./c'], { workingDir: '/b/c' }],
    [['WORKDIR $HOME/x'], { workingDir: '/root/x' }],
  ];
  test.each(cases)('%j', (lines, expected) => {
    expect(apply(...lines)).toEqual({ ...emptyExecution(), env: ['A=1', 'HOME=/root'], ...expected });
  });

  test('a health check in all its forms', () => {
    const check = (line: string) => apply(line).healthcheck;
    const none = { interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
    expect(check('HEALTHCHECK --interval=2s --timeout=1m30s --start-period=500ms --retries=4 CMD foo "a b"')).toEqual({
      test: ['CMD-SHELL', 'foo "a b"'],
      interval: 2e9,
      timeout: 90e9,
      startPeriod: 5e8,
      startInterval: 0,
      retries: 4,
    });
    expect(check('HEALTHCHECK CMD ["a","b"]')).toEqual({ ...none, test: ['CMD', 'a', 'b'] });
    expect(check('HEALTHCHECK NONE')).toEqual({ ...none, test: ['NONE'] });
  });

  test('the config that was given stays as it was', () => {
    const base = emptyExecution();
    applyInstructions(['ENV A=1', 'LABEL a=b', 'ONBUILD RUN x'], base);
    expect(base).toEqual(emptyExecution());
  });
});

test.each([
  ['', 'file with no instructions'],
  ['# x', 'file with no instructions'],
  ['RUN x', 'run is not a valid change command'],
  ['constructor x', 'constructor is not a valid change command'],
  ['ENV', 'ENV requires at least one argument'],
  ['ENV x', 'ENV must have two arguments'],
  ['ENV =x', 'ENV names can not be blank'],
  ['ENV A=b c', 'Syntax error - can\'t find = in "c". Must be of the form: name=value'],
  ['LABEL x', 'LABEL must have two arguments'],
  ['EXPOSE', 'EXPOSE requires at least one argument'],
  ['EXPOSE x', 'Invalid containerPort: x'],
  ['EXPOSE 70000', 'Invalid containerPort: 70000'],
  ['EXPOSE 80/foo', 'Invalid proto: foo'],
  ['VOLUME', 'VOLUME requires at least one argument'],
  ['WORKDIR', 'WORKDIR requires exactly one argument'],
  ['USER', 'USER requires exactly one argument'],
  ['ONBUILD ONBUILD x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
  ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
  ['HEALTHCHECK foo', 'Unknown type "FOO" in HEALTHCHECK (try CMD)'],
  ['HEALTHCHECK --interval=1 CMD x', 'time: missing unit in duration "1"'],
  ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
  ['ENV A="x', 'unexpected end of statement while looking for matching double-quote'],
])('%j is refused in docker’s words', (line, message) => {
  expect(() => apply(line)).toThrow(message);
});

test('words and variables as a Dockerfile has them', () => {
  expect(splitWords(`a "b c" d\\ e 'f "g' h"i j"k`)).toEqual(['a', '"b c"', 'd\\ e', `'f "g'`, 'h"i j"k']);
  const variables = new Map([
    ['A', '1'],
    ['EMPTY', ''],
  ]);
  const cases: [string, string][] = [
    [`$A\${A}x`, '11x'],
    ["'$A'", '$A'],
    ['"$A"', '1'],
    ['\\$A', '$A'],
    ['"\\$A\\n"', '$A\\n'],
    [`\${B:-x$A}`, 'x1'],
    [`\${A:+y}`, 'y'],
    [`\${EMPTY-x}\${EMPTY:-x}`, 'x'],
    ['$B', ''],
    ['$', '$'],
  ];
  for (const [text, expected] of cases) expect(expandWord(text, variables)).toBe(expected);
  expect(() => expandWord('${A', variables)).toThrow('bad substitution');
  expect(() => expandWord(`\${B:?gone}`, variables)).toThrow('B: gone');
});
