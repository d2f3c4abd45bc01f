/** `npm run fuzz -- [--seconds N] [--seed N] [TARGET…]`: fuzzes all targets, or those, N seconds each (60 unless told). */
import { fuzz, fuzzGuided, targets } from './session.ts';

const names: string[] = [];
let seconds = 60;
let seed = Date.now() % 2 ** 31;
for (let words = process.argv.slice(2); words.length > 0; words = words.slice(1)) {
  const [word = '', value = ''] = words;
  if (word === '--seconds' || word === '--seed') {
    const number = Number(value);
    if (!Number.isFinite(number) || number < 0 || value === '') throw new Error(`${word} wants a number`);
    if (word === '--seconds') seconds = number;
    else seed = number;
    words = words.slice(1);
  } else names.push(word);
}
const chosen = targets.filter(({ name }) => names.length === 0 || names.includes(name));
const unknown = names.find((name) => !chosen.some((target) => target.name === name));
if (unknown !== undefined)
  throw new Error(`no target ${unknown}; there are ${targets.map(({ name }) => name).join(', ')}`);
for (const target of chosen) {
  const guided = fuzzGuided(target, seconds, seed);
  if (guided === undefined && target.guide !== undefined)
    console.log(`${target.name}: without coverage, since this machine lacks ${target.guide}`);
  const { tried, finding } = guided ?? (await fuzz(target, { milliseconds: seconds * 1000, seed }));
  console.log(`${target.name}: ${tried} inputs, seed ${seed}${finding === undefined ? '' : `: FOUND ${finding.path}`}`);
  if (finding !== undefined) {
    console.error(finding.error);
    process.exitCode = 1;
  }
  target.close?.();
}
