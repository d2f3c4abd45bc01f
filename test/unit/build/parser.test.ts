/** Dockerfiles as instructions: what docker's parser says of the same text. */
import { describe, expect, test } from 'vitest';
import { heredocText } from '../../../src/build/dockerfile/heredoc.ts';
import { parseDockerfile } from '../../../src/build/dockerfile/parser.ts';

const parse = (text: string) =>
  parseDockerfile(text, 'Dockerfile').instructions.map(({ name, flags, rest }) => [name, ...flags, rest]);

function failure(text: string): string {
  try {
    parseDockerfile(text, 'Dockerfile');
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('lines', () => {
  test.each([
    [
      'FROM a\nRUN a \\\n  b\n',
      [
        ['FROM', 'a'],
        ['RUN', 'a   b'],
      ],
    ],
    [
      'FROM a\r\nRUN a \\\r\n b\r\n',
      [
        ['FROM', 'a'],
        ['RUN', 'a  b'],
      ],
    ],
    [
      'FROM a\nRUN a \\\n# a comment\n\n   # another\n && b',
      [
        ['FROM', 'a'],
        ['RUN', 'a  && b'],
      ],
    ],
    [
      '# escape=`\nFROM a\nRUN dir C:\\ `\n x',
      [
        ['FROM', 'a'],
        ['RUN', 'dir C:\\  x'],
      ],
    ],
    [
      'FROM a\nRUN echo \\\\\nRUN b',
      [
        ['FROM', 'a'],
        ['RUN', 'echo \\\\'],
        ['RUN', 'b'],
      ],
    ],
    [
      'FROM a\nRUN a \\   \n b',
      [
        ['FROM', 'a'],
        ['RUN', 'a  b'],
      ],
    ],
    [
      '\ufeffFROM a\n  # comment\n\n\tenv A=b',
      [
        ['FROM', 'a'],
        ['ENV', 'A=b'],
      ],
    ],
    [
      'FROM a\nRUN echo # no comment',
      [
        ['FROM', 'a'],
        ['RUN', 'echo # no comment'],
      ],
    ],
    [
      'FROM a\nRUN --mount=type=cache,target=/x --network=none echo --no-flag',
      [
        ['FROM', 'a'],
        ['RUN', '--mount=type=cache,target=/x', '--network=none', 'echo --no-flag'],
      ],
    ],
    [
      'FROM a\nRUN -- --x',
      [
        ['FROM', 'a'],
        ['RUN', '--x'],
      ],
    ],
    ['FROM --platform="linux/amd64" a', [['FROM', '--platform=linux/amd64', 'a']]],
    [
      'FROM a\nCMD',
      [
        ['FROM', 'a'],
        ['CMD', ''],
      ],
    ],
  ])('%j', (text, expected) => expect(parse(text)).toEqual(expected));

  test('directives: only at the top', () => {
    expect(parseDockerfile('# syntax = docker/dockerfile:1\nFROM a', 'D')).toMatchObject({
      syntax: 'docker/dockerfile:1',
    });
    expect(parseDockerfile('# comment\n# escape=`\nFROM a', 'D').escapeToken).toBe('\\');
    expect(parseDockerfile('#escape=`\nFROM a', 'D').escapeToken).toBe('`');
  });
});

describe('here-documents', () => {
  const first = (text: string) => parseDockerfile(text, 'Dockerfile').instructions[1];

  test('a script, and the instruction behind it', () => {
    expect(first('FROM a\nRUN <<EOF\necho a\n# no comment \\\nEOF\nCMD x')?.heredocs).toEqual([
      { name: 'EOF', content: 'echo a\n# no comment \\\n', expand: true, chomp: false },
    ]);
    expect(parse('FROM a\nRUN <<EOF\nx\nEOF\nCMD x').map(([name]) => name)).toEqual(['FROM', 'RUN', 'CMD']);
  });

  test('several, quoted, with tabs', () => {
    const found = first('FROM a\nCOPY <<a.txt <<-"b.txt" /d/\nA\na.txt\n\tB\n\tb.txt\n');
    expect(found?.heredocs).toEqual([
      { name: 'a.txt', content: 'A\n', expand: true, chomp: false },
      { name: 'b.txt', content: '\tB\n', expand: false, chomp: true },
    ]);
    expect(found?.heredocs.map(heredocText)).toEqual(['A\n', 'B\n']);
  });

  test('what looks like one and is none', () => {
    expect(first('FROM a\nRUN ["cat", "<<EOF"]\nCMD x')?.heredocs).toEqual([]);
    expect(first('FROM a\nRUN echo "<<EOF"')?.heredocs).toEqual([]);
    expect(first('FROM a\nRUN cat <<< word')?.heredocs).toEqual([]);
    expect(first('FROM a\nENV A <<EOF')?.heredocs).toEqual([]);
    expect(first('FROM a\nRUN echo $((1<<2))')?.heredocs).toEqual([]);
  });
});

describe('errors show the place', () => {
  test('file, line, and the lines around it', () => {
    expect(failure('FROM a\n\nRUNN x\nCMD y\n')).toBe(
      [
        'unknown instruction: RUNN',
        'Dockerfile:3',
        '--------------------',
        '   1 |     FROM a',
        '   2 |',
        '   3 | >>> RUNN x',
        '   4 |     CMD y',
        '--------------------',
      ].join('\n'),
    );
  });

  test('all lines of an instruction are marked', () => {
    expect(failure('FROM a\nNOPE b \\\n  c\n')).toContain('   2 | >>> NOPE b \\\n   3 | >>>   c');
  });

  test.each([
    ['FROM a\nRUN <<EOF\nx\n', 'unterminated heredoc'],
    ['# escape=x\nFROM a', "invalid escape token 'x' does not match \\ or `"],
    ['# escape=`\n# escape=`\nFROM a', 'only one escape parser directive can be used'],
    ['FROM a\nCOPY', 'COPY requires at least one argument'],
  ])('%j', (text, message) => expect(failure(text)).toContain(message));
});
