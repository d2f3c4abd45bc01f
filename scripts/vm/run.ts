/** `node scripts/run-ts.mjs scripts/vm/run.ts [--systemd] SCRIPT`: runs a shell script in the guest and shows its console. */
import { readFileSync } from 'node:fs';
import { runGuest } from './machine.ts';

const args = process.argv.slice(2);
const profile = args[0] === '--systemd' ? 'systemd' : 'plain';
const script = args.at(-1) ?? 'true';
const result = await runGuest({ profile, script, milliseconds: 600_000 });
process.stdout.write(readFileSync(result.console));
console.error(result.failure ?? `exit ${result.status}`, `after ${result.seconds.toFixed(1)} s; ${result.results}`);
process.exitCode = result.status ?? 1;
