/** Entry of the bundle that bin/tsrun runs. */
import { main, report } from './dispatch.ts';

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => process.exit(report(error, 'tsrun', 125)),
);
