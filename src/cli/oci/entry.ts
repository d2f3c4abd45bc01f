/** Entry of the bundle that bin/tsrun-oci runs. */
import { main } from './main.ts';

main(process.argv.slice(2)).then((code) => process.exit(code));
