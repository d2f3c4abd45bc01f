/** Makes the tests that ran in a guest tests of this run: same names, same failures. */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type GuestResult, type GuestRun, runGuest } from '../../scripts/vm/machine.ts';

interface TestResult {
  file: string;
  name: string;
  status: 'passed' | 'failed' | 'skipped';
  message: string;
}

/** Lines of the console that a failure shows. */
const shownLines = 40;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The file of vitest's JSON reporter. A test file that could not be loaded is one failure. */
function parseVitest(text: string): TestResult[] {
  const report: unknown = JSON.parse(text);
  const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.filter(isObject) : []);
  return list(isObject(report) ? report.testResults : []).flatMap((entry) => {
    const file = basename(String(entry.name));
    const tests = list(entry.assertionResults).map((each): TestResult => {
      const status = each.status === 'passed' || each.status === 'failed' ? each.status : 'skipped';
      const messages = Array.isArray(each.failureMessages) ? each.failureMessages.join('\n') : '';
      return { file, name: String(each.fullName), status, message: messages };
    });
    const explained = entry.status !== 'failed' || tests.some(({ status }) => status === 'failed');
    return explained ? tests : [...tests, { file, name: 'runs', status: 'failed', message: String(entry.message) }];
  });
}

/** `ok NAME`, `not ok NAME` and, below, indented lines that say why: what a shell script can write. */
function parseTap(file: string, text: string): TestResult[] {
  const results: TestResult[] = [];
  for (const line of text.split('\n')) {
    const match = /^(not )?ok (.+)$/.exec(line);
    if (match !== null) {
      results.push({ file, name: match[2] ?? '', status: match[1] === undefined ? 'passed' : 'failed', message: '' });
    } else {
      const last = results.at(-1);
      if (last !== undefined && line !== '') last.message += `${line.trim()}\n`;
    }
  }
  return results;
}

function resultsOf(guest: GuestResult): TestResult[] {
  const read = (name: string): string | undefined => {
    const path = join(guest.results, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  };
  const json = read('tests.json');
  const tap = read('tests.tap');
  return [
    ...(json === undefined ? [] : parseVitest(json)),
    ...(tap === undefined ? [] : parseTap('systemd-checks.sh', tap)),
  ];
}

/**
 * Boots a guest, and registers what it reports. At least `expected` tests must have run: a guest that runs nothing is no
 * success. Where something failed, its console is kept and named.
 */
export async function guestTests(title: string, run: GuestRun, expected: number): Promise<void> {
  const guest = await runGuest(run);
  const results = resultsOf(guest);
  const shown = existsSync(guest.console) ? readFileSync(guest.console, 'latin1') : '';
  console.log(`${title}: ${results.length} tests, ${Math.round(guest.seconds)} s`);
  const explain = (why: string): never => {
    const end = shown.split('\n').slice(-shownLines).join('\n');
    return expect.fail(`${why} (console: ${guest.console})\n${end}`);
  };

  describe(title, () => {
    test('the guest boots, runs everything and ends', () => {
      const twice = guest.earlier === undefined ? '' : `; the first attempt: ${guest.earlier}`;
      if (guest.failure !== undefined) explain(guest.failure + twice);
      if (results.length < expected) explain(`only ${results.length} tests ran in the guest, not ${expected}`);
    });
    for (const file of new Set(results.map((result) => result.file))) {
      describe(file, () => {
        for (const result of results.filter((each) => each.file === file)) {
          if (result.status === 'skipped') test.skip(result.name, () => {});
          else {
            test(result.name, () => {
              if (result.status === 'failed') expect.fail(`${result.message}\n(console: ${guest.console})`);
            });
          }
        }
      });
    }
  });

  const isGood =
    guest.failure === undefined && results.length >= expected && results.every(({ status }) => status !== 'failed');
  afterAll(() => {
    const kept = process.env.TSRUN_VM_KEEP;
    if (kept) cpSync(guest.console, `${kept}.${run.profile}`);
    if (isGood) guest.remove();
  });
}
