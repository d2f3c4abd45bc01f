import { expect, test } from 'vitest';
import { checkLogTag, logDetails } from '../../../../src/cli/views/log-details.ts';
import { container } from './container.ts';

const details = (given: Record<string, string>): string =>
  logDetails(
    container({ record: { labels: { a: '1', b: 'x y' } }, options: { log: { driver: 'json-file', given } } }).record,
  );

test.each([
  [{}, ''],
  [{ labels: 'b,a,zz', env: 'A' }, 'A=b,a=1,b=x+y'],
  [{ 'labels-regex': '^a', 'env-regex': '^A' }, 'A=b,a=1'],
  [{ tag: '{{.Name}}/{{.ImageName}}' }, 'tag=web%2Fbusybox'],
  [{ 'max-size': '10m' }, ''],
])('%o', (given, shown) => {
  expect(details(given)).toBe(shown);
});

test('a tag that asks for what there is not', () => {
  expect(() => checkLogTag('{{.ID}}')).not.toThrow();
  expect(() => checkLogTag('{{.Foo}}')).toThrow("can't evaluate field Foo");
});
