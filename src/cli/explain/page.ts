/** What all pages that tsrun writes have in common: escaping, colours for light and dark, and a frame that loads nothing. */
import type { Language } from '../options/language.ts';

/** Text for HTML, in content and in attributes. Control characters have no place in a page. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const common = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a; --line: #d0d7de; --call: #0a5c2f;
  --warn: #8a3c00; --code: #f4f6f8; --link: #0b57b7; --own: #e3f1e7; --shared: #fbeadf }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa4af; --line: #30363d;
  --call: #6fdc9a; --warn: #ffb27a; --code: #161b22; --link: #79b8ff; --own: #12301f; --shared: #3a2414 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
a { color: var(--link) }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.skip { position: absolute; left: -100rem } .skip:focus { left: 1rem; background: var(--paper); padding: .5rem }
h1 { font-size: 1.5rem; line-height: 1.25 } h2 { font-size: 1.2rem; margin: 2rem 0 0; border-top: 1px solid var(--line);
  padding-top: 1rem }
h2 small { font-weight: normal; color: var(--soft) } .about { color: var(--soft); margin: 0 0 1rem } p { margin: .15rem 0 }
code { font: .875rem/1.4 ui-monospace, monospace; white-space: pre-wrap }
`;

export interface Page {
  language: Language;
  title: string;
  /** Behind the common ones. */
  style: string;
  /** The content of the body, escaped. */
  body: string;
  /** A script of our own, and the number that the policy knows it by. */
  script?: { code: string; nonce: string } | undefined;
}

/** A page that may load nothing from anywhere. */
export function renderPage({ language, title, style, body, script }: Page): string {
  const scripts = script === undefined ? '' : `; script-src 'nonce-${script.nonce}'; connect-src 'self'`;
  return `<!DOCTYPE html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'${scripts}">
<title>${escapeHtml(title)}</title>
<style>${common}${style}</style>
</head>
<body>
${body}
${script === undefined ? '' : `<script nonce="${script.nonce}">${script.code}</script>\n`}</body>
</html>
`;
}
