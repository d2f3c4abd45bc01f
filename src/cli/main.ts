/** Entry of the bundle that bin/tsrun runs. */
import { main } from './dispatch.ts';
import { report } from './report.ts';

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => process.exit(report(error, 'tsrun', 125)),
);
