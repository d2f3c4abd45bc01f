/** `tsrun doctor`: whether this machine can run containers, what stands in the way, and what to do about it. */
import { examine, type Finding, type Verdict } from '../../container/doctor/index.ts';
import { pruneLeftovers } from '../../container/prune/index.ts';
import { ContainerStore } from '../../container/store.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { wrapText } from '../help.ts';
import { escapeControls, print, printError } from '../output.ts';
import { hasColours, painter, type Style } from '../style.ts';
import { terminalSize } from '../terminal.ts';
import { printFormatted } from './print-format.ts';

export const doctor: Command = {
  usage: '[OPTIONS]',
  description: 'Examine this machine, and say what to do where containers would not work. Changes nothing',
  flags: [
    { name: 'format', short: 'f', type: 'string', description: "'json', or a Go template" },
    { name: 'quiet', short: 'q', type: 'bool', description: 'Only what is not well' },
    { name: 'repair', type: 'bool', description: 'First clean up after processes that were killed' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    if (flags.boolean('repair')) repair();
    const found = examine();
    const count = (verdict: Verdict): number => found.filter((finding) => finding.verdict === verdict).length;
    const format = flags.string('format');
    if (format) {
      const checks = found.map(({ area, name, verdict, detail, meaning = '', remedy = '' }) => ({
        Area: area,
        Name: name,
        Status: verdict,
        Detail: detail,
        Meaning: meaning,
        Remedy: remedy,
      }));
      printFormatted({ Checks: checks, Problems: count('problem'), Warnings: count('warning') }, format, 'examination');
    } else {
      print(report(flags.boolean('quiet') ? found.filter(({ verdict }) => verdict !== 'ok') : found));
      print(summary(count));
    }
    return count('problem') > 0 ? 1 : 0;
  },
};

function repair(): void {
  const containers = new ContainerStore();
  pruneLeftovers({
    containers,
    images: new ImageStore(containers.root),
    filter: { labels: [], withoutLabels: [] },
    allImages: false,
    onNotice: (line) => printError(`tsrun: ${line}`),
  });
}

const styles: Readonly<Record<Verdict, Style>> = { ok: 'green', warning: 'yellow', problem: 'red', unknown: 'dim' };

/** Columns of the indented lines below a finding. */
const indent = 10;

function report(found: readonly Finding[]): string {
  const width = Math.max(terminalSize(1)?.columns ?? 100, 40);
  const paint = painter(hasColours(1));
  let text = '';
  let area = '';
  for (const finding of found) {
    if (finding.area !== area) text += `${area === '' ? '' : '\n'}${paint('bold', finding.area)}\n`;
    area = finding.area;
    const below = (title: string, words: string | undefined): string[] =>
      words === undefined ? [] : wrapText(`${title}${words}`, width - indent);
    const lines = [
      ...wrapText(`${finding.name}: ${finding.detail}`, width - indent),
      ...below('', finding.meaning),
      ...below('do: ', finding.remedy),
    ].map((line) => escapeControls(line));
    text += `  ${paint(styles[finding.verdict], finding.verdict.padEnd(indent - 2))}${lines.join(`\n${' '.repeat(indent)}`)}\n`;
  }
  return text;
}

function summary(count: (verdict: Verdict) => number): string {
  const plural = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  const unknown = count('unknown');
  const parts = [plural(count('problem'), 'problem'), plural(count('warning'), 'warning')];
  if (unknown > 0) parts.push(`${unknown} not looked at`);
  return `\n${parts.join(', ')}\n`;
}
