import { expect, test } from 'vitest';
import type { Struct } from '../../../../src/cli/format/value.ts';
import { renderList } from '../../../../src/cli/views/list.ts';

const rows: Struct[] = [
  { ID: '0123456789ab', Names: 'web', Label: (name) => `<${String(name)}>` },
  { ID: 'ba9876543210', Names: 'job', Label: (_name) => '' },
];

function render(format: string | undefined, quiet = false, of = rows): string {
  return renderList(of, {
    format,
    quiet,
    columns: ['ID', 'Names'],
    idField: 'ID',
    titles: { ID: 'CONTAINER ID', Names: 'NAMES', Label: (name) => String(name) },
    thing: 'container',
  });
}

test.each<[string | undefined, boolean, string]>([
  [undefined, false, 'CONTAINER ID   NAMES\n0123456789ab   web\nba9876543210   job\n'],
  ['', false, 'CONTAINER ID   NAMES\n0123456789ab   web\nba9876543210   job\n'],
  ['table', false, 'CONTAINER ID   NAMES\n0123456789ab   web\nba9876543210   job\n'],
  ['table {{.Names}}\\t{{.ID}}', false, 'NAMES     CONTAINER ID\nweb       0123456789ab\njob       ba9876543210\n'],
  ['table {{.Names}}\\t{{.Label "a"}}', false, 'NAMES     a\nweb       <a>\njob       \n'],
  ['{{.Names}}', false, 'web\njob\n'],
  ['{{.Names}}\\t{{.ID}}', false, 'web\t0123456789ab\njob\tba9876543210\n'],
  ['json', false, '{"ID":"0123456789ab","Names":"web"}\n{"ID":"ba9876543210","Names":"job"}\n'],
  ['{{json .}}', false, '{"ID":"0123456789ab","Names":"web"}\n{"ID":"ba9876543210","Names":"job"}\n'],
  [undefined, true, '0123456789ab\nba9876543210\n'],
  ['{{.Names}}', true, 'web\njob\n'],
])('--format %j, quiet %j', (format, quiet, expected) => {
  expect(render(format, quiet)).toBe(expected);
});

test('no rows: the header alone, or nothing', () => {
  expect(render(undefined, false, [])).toBe('CONTAINER ID   NAMES\n');
  expect(render('table {{.Names}}', false, [])).toBe('NAMES\n');
  expect(render('{{.Names}}', false, [])).toBe('');
  expect(render(undefined, true, [])).toBe('');
});

test.each([
  ['{{.Names', 'failed to parse template: template: :1: unclosed action'],
  [
    '{{.Nmaes}}',
    'failed to execute template: template: :1:2: executing "" at <.Nmaes>: can\'t evaluate field Nmaes in type container',
  ],
])('%s is refused', (format, message) => {
  expect(() => render(format)).toThrow(message);
});
