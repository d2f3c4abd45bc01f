/** Entry of the program for the small engine: loaded when tsrun is built, and begun by `start` of the host in each process. */
import { beginProcess, engine } from '../node/globals.ts';
import { start } from './start.ts';

engine.start = () => {
  beginProcess();
  start(engine.argv.slice(1));
};
