/** Entry of the bundle that bin/tsrun runs. */
import { start } from './start.ts';

start(process.argv.slice(2));
