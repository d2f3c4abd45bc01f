import { expect, test } from 'vitest';
import { splitArgument } from '../../../../src/cli/commands/cp.ts';

test.each([
  ['web:/etc/passwd', 'web', '/etc/passwd'],
  ['web:etc', 'web', 'etc'],
  ['web:', 'web', ''],
  ['web:/a:b', 'web', '/a:b'],
  ['file', '', 'file'],
  ['./file:name', '', './file:name'],
  ['../a:b', '', '../a:b'],
  ['/abs:olute', '', '/abs:olute'],
  ['-', '', '-'],
  [':/x', '', '/x'],
])('%s', (text, container, path) => {
  expect(splitArgument(text)).toEqual({ container, path });
});
