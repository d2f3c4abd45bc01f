/**
 * Holds documentation to what exists, in every Markdown file of the repository:
 * - links to files of the repository lead somewhere, anchors included;
 * - `npm run NAME` names a script of package.json; `scripts/…`, `src/…` and so on in code spans exist;
 * - `tsrun COMMAND` and its `--flags` in code blocks are known to the built bin/tsrun.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
const problems = [];

function* markdownFiles(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      const isForeign = ['node_modules', '.git', 'dist', 'blobs', 'layers', 'containers'].includes(entry.name);
      if (!isForeign) yield* markdownFiles(path);
    } else if (entry.name.endsWith('.md')) yield path;
  }
}

/** The anchor that a heading gets on the forges. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

function checkLinks(path, text) {
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [file, anchor] = target.split('#');
    const linked = file ? join(dirname(path), file) : path;
    if (!existsSync(linked)) problems.push(`${path}: link to "${target}", which does not exist`);
    else if (anchor && linked.endsWith('.md')) {
      const headings = [...readFileSync(linked, 'utf8').matchAll(/^#+ +(.+)$/gm)].map(([, heading]) =>
        anchorOf(heading),
      );
      if (!headings.includes(anchor)) problems.push(`${path}: "${target}": there is no such heading`);
    }
  }
}

function checkPaths(path, text) {
  for (const [, script] of text.matchAll(/npm run ([\w:-]+)/g)) {
    if (!(script in scripts)) problems.push(`${path}: \`npm run ${script}\`: package.json has no such script`);
  }
  for (const [, span] of text.matchAll(/`((?:src|scripts|native|docs|test|bench|bin)\/[\w./-]+)`/g)) {
    if (!existsSync(join(checkout, span))) problems.push(`${path}: \`${span}\` does not exist`);
  }
}

const helps = new Map();
/** What `tsrun COMMAND --help` prints, or undefined where there is no such command. */
function helpOf(command) {
  if (!helps.has(command)) {
    const answer = spawnSync(join(checkout, 'bin/tsrun'), [command, '--help'], { encoding: 'utf8' });
    helps.set(command, answer.status === 0 ? answer.stdout : undefined);
  }
  return helps.get(command);
}

/**
 * The long flags that are tsrun's own. A word behind a flag may be its value; the word after that, or one behind no
 * flag, is the image or container, and what follows belongs to the command in the container.
 */
function longFlags(words) {
  const found = [];
  let mayBeValue = false;
  for (const word of words) {
    if (word.startsWith('-')) {
      if (word.startsWith('--')) found.push(word.split('=')[0]);
      mayBeValue = !word.includes('=');
    } else if (mayBeValue) mayBeValue = false;
    else break;
  }
  return found;
}

function checkCommands(path, text) {
  for (const [, block] of text.matchAll(/^```(?:sh|console|bash)\n([\s\S]*?)^```/gm)) {
    for (const line of block.replaceAll('\\\n', ' ').split('\n')) {
      const words = line
        .replace(/\s#.*$/, '')
        .replace(/^\$ /, '')
        .trim()
        .split(/\s+/);
      const at = words.findIndex((word) => /^(\.\/)?(bin\/)?tsrun$/.test(word));
      if (at < 0 || words.slice(0, at).some((word) => !/^(sudo|time|alias|[A-Z_]+=\S*)$/.test(word))) continue;
      const [command, ...rest] = words.slice(at + 1);
      if (command === undefined || command.startsWith('-')) continue;
      const help = helpOf(command);
      if (help === undefined) {
        problems.push(`${path}: \`${line.trim()}\`: tsrun has no command "${command}"`);
        continue;
      }
      for (const flag of longFlags(rest)) {
        if (!help.includes(flag)) problems.push(`${path}: \`${line.trim()}\`: no flag "${flag}"`);
      }
    }
  }
}

const isBuilt = existsSync(join(checkout, 'dist/tsrun.cjs'));
let files = 0;
for (const file of markdownFiles(checkout)) {
  files++;
  const text = readFileSync(file, 'utf8');
  const path = relative(checkout, file);
  checkLinks(path, text);
  checkPaths(path, text);
  if (isBuilt) checkCommands(path, text);
}
for (const problem of problems) console.error(problem);
console.log(
  `documentation: ${files} files, ${problems.length} problems${isBuilt ? '' : ' (commands not checked: not built)'}`,
);
process.exitCode = problems.length > 0 ? 1 : 0;
