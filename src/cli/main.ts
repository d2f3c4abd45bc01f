/** Entry of the bundle that bin/tsrun runs. */
import { main } from './dispatch.ts';
import { report } from './report.ts';

const argv = process.argv.slice(2);

// Another command line altogether: runc's, with options of its own before its commands.
const answer = argv[0] === 'oci' ? import('./oci/main.ts').then((oci) => oci.main(argv.slice(1))) : main(argv);
answer.then(
  (code) => process.exit(code),
  (error: unknown) => process.exit(report(error, 'tsrun', 125)),
);
