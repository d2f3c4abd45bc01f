/**
 * `xray` as one page: drawings and tables, nothing from the network, light and dark, to be listened to and walked through by
 * keyboard. Every text that the container could have chosen is made harmless.
 */
import type { Xray } from '../../container/xray/xray.ts';
import { escapeHtml, renderPage } from '../explain/page.ts';
import type { Language } from '../options/language.ts';
import { escapeControls } from '../output.ts';
import { drawCgroup, drawLayers, drawNamespaces, drawProcesses, drawWay } from './drawings.ts';
import { sheetOfXray, type Table, type Way, type XraySection, type XraySheet } from './sheet.ts';
import { type XrayWords, xrayWords } from './words.ts';

/** Control characters are shown, those too that turn the direction of writing. */
const safe = (text: string): string => escapeHtml(escapeControls(text));

const style = `
body { max-width: 76rem }
nav ol { columns: 2 12rem } .both { display: grid; gap: 1rem 2rem; grid-template-columns: minmax(0, 1fr) }
@media (min-width: 60rem) { .both.drawn { grid-template-columns: minmax(0, 24rem) minmax(0, 1fr) } }
figure { margin: 0; max-width: 30rem } svg { display: block; width: 100%; height: auto; font: 12px ui-monospace, monospace }
svg text { fill: var(--ink) } svg .middle { text-anchor: middle } svg .end { text-anchor: end }
svg .strong { font-weight: 700 } svg .soft { fill: var(--soft) }
svg rect { stroke: var(--line) } svg .plain { fill: var(--code) } svg .own { fill: var(--own); stroke: var(--call) }
svg .shared { fill: var(--shared); stroke: var(--warn) } svg .bar { fill: var(--call); stroke: none }
svg .warn { fill: var(--warn); stroke: none } svg .line { fill: none; stroke: var(--soft); stroke-width: 1.5 }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .875rem; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: normal }
td { font-family: ui-monospace, monospace; min-width: 3rem } td.long { min-width: 14rem; overflow-wrap: anywhere }
td.tree { white-space: pre-wrap } th { color: var(--call) }
dl { display: grid; grid-template-columns: minmax(6rem, 12rem) minmax(0, 1fr); gap: .25rem 1rem; margin: 0 0 1rem;
  font-size: .875rem }
dt { color: var(--call) } dd { margin: 0; font-family: ui-monospace, monospace }
ol.way { margin: 0; padding-left: 1.5rem } ol.way li { margin-bottom: .5rem } ol.way ul { padding-left: 1rem; margin: 0 }
ol.way ul, ol.way b { font: .875rem/1.4 ui-monospace, monospace } ol.way b { font-weight: 700 } h3 { font-size: 1rem }
@media (max-width: 30rem) { dl { grid-template-columns: minmax(0, 1fr); gap: 0 } dd { margin-bottom: .5rem } }
@media print { nav, .skip { display: none } }
`;

export interface HtmlOptions {
  /** The page follows the container: the number that its script goes by. */
  live: { nonce: string } | undefined;
  /** When the container was looked at. */
  taken: Date;
}

/** The whole page. */
export function renderXrayHtml(found: Xray, language: Language, { live, taken }: HtmlOptions): string {
  const words = xrayWords[language];
  const sheet = sheetOfXray(found, language);
  const contents = sheet.sections.map(({ name, title }) => `<li><a href="#h-${name}">${safe(title)}</a></li>`);
  const sections = renderSections(found, sheet, words).map(
    ({ name, html }) => `<section id="${name}" aria-labelledby="h-${name}">\n${html}\n</section>`,
  );
  const state = live === undefined ? words.taken(taken.toISOString()) : words.live;
  const body = `<a class="skip" href="#container">${safe(words.skip)}</a>
<header>
<h1>${safe(sheet.heading)}</h1>
<p id="state" role="status">${safe(state)}</p>
</header>
<nav aria-label="${safe(words.contents)}">
<ol>
${contents.join('\n')}
</ol>
</nav>
<main id="container">
${sections.join('\n')}
</main>`;
  const script = live === undefined ? undefined : { code: liveScript, nonce: live.nonce };
  return renderPage({ language, title: sheet.heading, style, body, script });
}

/** What stands in each section: a page that follows the container gets those that have changed. */
export function renderSections(found: Xray, sheet: XraySheet, words: XrayWords): { name: string; html: string }[] {
  return sheet.sections.map((section) => ({ name: section.name, html: renderSection(found, section, words) }));
}

function renderSection(found: Xray, section: XraySection, words: XrayWords): string {
  const { name, title, about, fields, table, ways } = section;
  const drawn = drawingOf(found, name, words);
  const list = fields.map(({ label, value }) => `<dt>${safe(label)}</dt><dd>${safe(value)}</dd>`).join('\n');
  const parts = [
    ...(drawn === '' ? [] : [`<figure>${drawn}</figure>`]),
    `<div>${[
      ...(list === '' ? [] : [`<dl>\n${list}\n</dl>`]),
      ...(table === undefined ? [] : [renderTable(table, title)]),
    ].join('\n')}</div>`,
  ];
  return `<h2 id="h-${name}">${safe(title)}</h2>
<p class="about">${safe(about)}</p>
<div class="both${drawn === '' ? '' : ' drawn'}">${parts.join('\n')}</div>
${ways.map((way, index) => renderWay(way, index, words)).join('\n')}`;
}

function drawingOf(found: Xray, name: XraySection['name'], words: XrayWords): string {
  switch (name) {
    case 'namespaces':
      return drawNamespaces(found, words);
    case 'processes':
      return drawProcesses(found, words);
    case 'layers':
      return drawLayers(found, words);
    case 'cgroup':
      return drawCgroup(found, words);
    default:
      return '';
  }
}

/** Cells of more than this many characters get room, and may be broken. */
const longCell = 24;

function renderTable({ head, rows }: Table, title: string): string {
  const cell = (content: string): string => {
    const kind = content.startsWith('  ') ? ' class="long tree"' : content.length > longCell ? ' class="long"' : '';
    return `<td${kind}>${safe(content)}</td>`;
  };
  return `<div class="scroll" tabindex="0" role="region" aria-label="${safe(title)}"><table>
<thead><tr>${head.map((name) => `<th scope="col">${safe(name)}</th>`).join('')}</tr></thead>
<tbody>
${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}
</tbody>
</table></div>`;
}

function renderWay(way: Way, index: number, words: XrayWords): string {
  const stages = way.stages.map(
    ({ kind, name, details }) =>
      `<li>${safe(kind)}: <b>${safe(name)}</b><ul>${details.map((detail) => `<li>${safe(detail)}</li>`).join('')}</ul></li>`,
  );
  return `<h3>${safe(way.title)}</h3>
<div class="both drawn"><figure>${drawWay(way, index, words)}</figure>
<ol class="way">
${stages.join('\n')}
</ol></div>`;
}

/** Puts in what has changed; who is reading a table with the keyboard stays where they are. */
const liveScript = `
const source = new EventSource('events');
source.onmessage = ({ data }) => {
  for (const { name, html } of JSON.parse(data)) {
    const section = document.getElementById(name);
    if (section === null) continue;
    const regions = () => [...section.querySelectorAll('.scroll')];
    const places = regions().map((region) => region.scrollLeft);
    const focused = regions().indexOf(document.activeElement);
    section.innerHTML = html;
    regions().forEach((region, index) => { region.scrollLeft = places[index] ?? 0; });
    regions()[focused]?.focus({ preventScroll: true });
  }
};
source.addEventListener('ended', ({ data }) => {
  document.getElementById('state').textContent = data;
  source.close();
});
`;
