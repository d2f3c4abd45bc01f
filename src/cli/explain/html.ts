/**
 * An explanation as one page: no script, nothing from the network, light and dark as the reader's system has it, in order
 * for those who listen to it, and to be walked through by keyboard alone (a list of contents, lists, details).
 */
import { escapeHtml, renderPage } from './page.ts';
import type { Section, Sheet, SheetStep } from './sheet.ts';
import { words } from './words.ts';

const style = `
ol.steps { list-style: none; padding: 0; margin: 0 } ol.steps > li { padding: .4rem 0 .4rem 3.5rem; position: relative }
.number { position: absolute; left: 0; width: 2.75rem; text-align: right; color: var(--soft) }
.title { font-weight: 600; margin: 0 }
.call { color: var(--call); background: var(--code); display: block; padding: .3rem .5rem; border-radius: .25rem }
.without { color: var(--warn) } .remark { border-left: .25rem solid var(--warn); padding-left: .75rem }
details pre { background: var(--code); padding: .5rem; overflow-x: auto; margin: .25rem 0 } summary { color: var(--soft) }
@media print { details { display: none } .skip, nav { display: none } }
`;

/** The whole page. */
export function renderHtml(sheet: Sheet): string {
  const text = words[sheet.language];
  const contents = sheet.sections
    .map(({ name, side }, index) => `<li><a href="#s${index + 1}">${escapeHtml(`${name} (${side})`)}</a></li>`)
    .join('\n');
  const remarks = sheet.remarks.map((remark) => `<p class="remark">${escapeHtml(`${text.remark}: ${remark}`)}</p>`);
  const body = `<a class="skip" href="#steps">${escapeHtml(text.skip)}</a>
<header>
<h1>${escapeHtml(sheet.heading)}</h1>
${sheet.notes.map((note) => `<p>${escapeHtml(note)}</p>`).join('\n')}
${remarks.join('\n')}
</header>
<nav aria-label="${escapeHtml(text.contents)}">
<ol>
${contents}
</ol>
</nav>
<main id="steps">
${sheet.sections.map((section, index) => renderSection(section, index, sheet)).join('\n')}
</main>`;
  return renderPage({ language: sheet.language, title: sheet.heading, style, body });
}

function renderSection({ name, side, about, steps }: Section, index: number, sheet: Sheet): string {
  const id = `s${index + 1}`;
  return `<section aria-labelledby="${id}">
<h2 id="${id}">${escapeHtml(name)} <small>${escapeHtml(side)}</small></h2>
<p class="about">${escapeHtml(about)}</p>
<ol class="steps">
${steps.map((step) => renderStep(step, sheet)).join('\n')}
</ol>
</section>`;
}

function renderStep({ number, title, call, why, without, shell }: SheetStep, { language }: Sheet): string {
  const text = words[language];
  const line = (name: string, content: string, kind: string): string =>
    content === '' ? '' : `<p class="${kind}"><b>${escapeHtml(name)}:</b> ${escapeHtml(content)}</p>`;
  const shellPart =
    shell === ''
      ? ''
      : `<details><summary>${escapeHtml(text.shell)}</summary><pre><code>${escapeHtml(shell)}</code></pre></details>`;
  const parts = [
    `<p class="title">${escapeHtml(title)}</p>`,
    call === undefined ? '' : `<code class="call">${escapeHtml(call)}</code>`,
    line(text.why, why, 'why'),
    line(text.without, without, 'without'),
    shellPart,
  ].filter((part) => part !== '');
  return `<li id="step-${number}"><span class="number">${number}.</span>${parts.join('')}</li>`;
}
