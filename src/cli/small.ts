/** Entry of the program for the small engine: what it has not of its own, then the command line. */
import '../node/globals.ts';
import './main.ts';
