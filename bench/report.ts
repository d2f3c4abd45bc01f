/**
 * `bench/report.ts RESULTS.json [CHART.svg]`: what a run of the benchmarks (scripts/bench.sh, --json) has measured, as one table
 * with a line for each peer, and as a chart of medians.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Result {
  title: string;
  unit: string;
  ours: string;
  contestants: Record<string, { min: number; median: number; samples: number }>;
  targets: { text: string; pass: boolean }[];
}

interface Results {
  date: string;
  machine: Record<string, string | number>;
  comparisons: Result[];
}

const number = (value: number): string =>
  value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);

/** The table: what was measured, the peer, its median, ours, ours divided by it, and the target that it is for. */
export function table({ comparisons }: Results): string {
  const rows = [['', 'peer', 'its median', 'ours', 'ratio', 'target', '']];
  for (const { title, unit, ours, contestants, targets } of comparisons) {
    const own = contestants[ours]?.median ?? Number.NaN;
    const peers = Object.entries(contestants).filter(([name]) => name !== ours);
    for (let line = 0; line < Math.max(peers.length, targets.length); line++) {
      const [name = '', { median: value } = { median: Number.NaN }] = peers[line] ?? [];
      const target = targets[line];
      rows.push([
        line === 0 ? title : '',
        name,
        name === '' ? '' : `${number(value)} ${unit}`,
        line === 0 ? `${number(own)} ${unit}` : '',
        name === '' ? '' : (own / value).toFixed(2),
        target?.text ?? '',
        target === undefined ? '' : target.pass ? 'reached' : 'MISSED',
      ]);
    }
  }
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const escapeXml = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');

const width = 760;
const nameWidth = 150;
const barHeight = 14;
const gap = 4;
const titleHeight = 30;

/** The chart: for each comparison a bar for every contestant, as long as its median is beside the slowest of them. */
export function chart({ date, machine, comparisons }: Results): string {
  const parts: string[] = [];
  let y = 34;
  for (const { title, unit, ours, contestants } of comparisons) {
    parts.push(`<text class="title" x="0" y="${y + 18}">${escapeXml(title)}</text>`);
    y += titleHeight;
    const longest = Math.max(...Object.values(contestants).map((contestant) => contestant.median));
    for (const [name, contestant] of Object.entries(contestants)) {
      const length = Math.max(1, Math.round(((width - nameWidth - 90) * contestant.median) / longest));
      const kind = name === ours ? 'ours' : 'peer';
      parts.push(
        `<text x="${nameWidth - 8}" y="${y + 11}" text-anchor="end">${escapeXml(name)}</text>`,
        `<rect class="${kind}" x="${nameWidth}" y="${y}" width="${length}" height="${barHeight}"/>`,
        `<text x="${nameWidth + length + 6}" y="${y + 11}">${number(contestant.median)} ${unit}</text>`,
      );
      y += barHeight + gap;
    }
    y += 6;
  }
  const about = `${date}, medians; ${machine.cores} cores, Linux ${String(machine.kernel).split('-')[0]}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 6}" width="${width}" height="${y + 6}" role="img" aria-label="tsrun beside other engines">
<style>
text { font: 12px sans-serif; fill: #24292f; }
.title { font-weight: bold; }
.ours { fill: #1a7f37; }
.peer { fill: #8c959f; }
@media (prefers-color-scheme: dark) { text { fill: #d0d7de; } .ours { fill: #3fb950; } .peer { fill: #6e7681; } }
</style>
<text x="0" y="16">${escapeXml(about)}</text>
${parts.join('\n')}
</svg>
`;
}

const [results, svg] = process.argv.slice(2);
if (results !== undefined && process.argv[1]?.endsWith('report.ts')) {
  const content = JSON.parse(readFileSync(results, 'utf8')) as Results;
  console.log(table(content));
  if (svg !== undefined) writeFileSync(svg, chart(content));
}
