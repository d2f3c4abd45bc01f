/** The command line of a process, whichever engine runs it. */
import { isExecutable } from '../linux/artifacts.ts';
import { main } from './dispatch.ts';
import { isLookDue } from './page-cache-note.ts';
import { report } from './report.ts';

/** Ends the command. The executable is read into huge pages afterwards, where it is not in them. */
async function end(code: number): Promise<never> {
  try {
    if (isExecutable && isLookDue()) (await import('./page-cache.ts')).lookAtExecutable();
  } catch {
    // Nobody has asked for it: the next start takes longer, and that is all.
  }
  process.exit(code);
}

/** Runs a command line, without the program's name, and ends the process with its exit status. */
export function start(argv: readonly string[]): void {
  // Another command line altogether: runc's, with options of its own before its commands.
  if (argv[0] === 'oci') {
    import('./oci/main.ts')
      .then((oci) => oci.main(argv.slice(1)))
      .then(
        (code) => process.exit(code),
        (error: unknown) => process.exit(report(error, 'tsrun', 125)),
      );
  } else {
    main(argv).then(end, (error: unknown) => end(report(error, 'tsrun', 125)));
  }
}
