/** A guest that boots as a user's Debian does, with systemd, and boots a second time with the same disks. */
import { guestTests } from './report.ts';

await guestTests(
  'beside systemd',
  { profile: 'systemd', script: 'bash test/vm/guest/systemd-checks.sh', milliseconds: 20 * 60_000 },
  10,
);
