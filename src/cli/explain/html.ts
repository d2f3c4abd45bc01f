/**
 * An explanation as one page: no script, nothing from the network, light and dark as the reader's system has it, in order
 * for those who listen to it, and to be walked through by keyboard alone (a list of contents, lists, details).
 */
import type { Section, Sheet, SheetStep } from './sheet.ts';
import { words } from './words.ts';

/** Text for HTML, in content and in attributes. Control characters have no place in a page. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a; --line: #d0d7de; --call: #0a5c2f;
  --warn: #8a3c00; --code: #f4f6f8; --link: #0b57b7 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa4af; --line: #30363d;
  --call: #6fdc9a; --warn: #ffb27a; --code: #161b22; --link: #79b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
a { color: var(--link) } a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.skip { position: absolute; left: -100rem } .skip:focus { left: 1rem; background: var(--paper); padding: .5rem }
h1 { font-size: 1.5rem; line-height: 1.25 } h2 { font-size: 1.2rem; margin: 2rem 0 0; border-top: 1px solid var(--line);
  padding-top: 1rem }
h2 small { font-weight: normal; color: var(--soft) } .about { color: var(--soft); margin: 0 0 1rem }
ol.steps { list-style: none; padding: 0; margin: 0 } ol.steps > li { padding: .4rem 0 .4rem 3.5rem; position: relative }
.number { position: absolute; left: 0; width: 2.75rem; text-align: right; color: var(--soft) }
.title { font-weight: 600; margin: 0 } p { margin: .15rem 0 }
code { font: .875rem/1.4 ui-monospace, monospace; white-space: pre-wrap }
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
  return `<!DOCTYPE html>
<html lang="${sheet.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(sheet.heading)}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#steps">${escapeHtml(text.skip)}</a>
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
</main>
</body>
</html>
`;
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
