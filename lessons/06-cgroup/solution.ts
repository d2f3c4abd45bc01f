/** Lesson 6, solved: SIGUSR2 stops everything in the container at once, and the next one lets it go on. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as kit from 'tsrun/lessons/kit.ts';
import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWUTS } from 'tsrun/linux/constants.ts';

// A cgroup is a directory in a file system of its own kind; systemd and older machines mount it in different places.
const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
const hierarchy = mounts.find((line) => line.includes(' - cgroup2 '))?.split(' ')[4];
if (hierarchy === undefined) throw new Error('no cgroup v2 is mounted on this machine');
const cgroup = `${hierarchy}/tsrun-lesson-${process.pid}`;
mkdirSync(cgroup);
process.on('exit', () => kit.removeCgroup(cgroup)); // and whoever is still in there

let frozen = false;
process.on('SIGUSR2', () => {
  frozen = !frozen;
  writeFileSync(`${cgroup}/cgroup.freeze`, frozen ? '1' : '0');
});

const b = new kit.ProgramBuilder();
// The child tells its pid and waits, so that it is in its cgroup before anything of the container runs.
kit.newChild(b, CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, true);
b.call('unshare', [CLONE_NEWCGROUP], { title: 'the cgroup that I am in now looks like the top from inside' });
b.call('sethostname', [b.text('lesson'), 6], { title: 'a name of its own' });
const root = kit.layeredRoot(b);
kit.mountProc(b, root);
kit.pivotRoot(b, root);
await kit.inside(b);

await kit.run(b, (pid) => {
  writeFileSync(`${cgroup}/cgroup.procs`, String(pid));
  // Which limits there are depends on the controllers that were handed down to here.
  for (const [file, limit] of [
    ['pids.max', '64'],
    ['memory.max', '268435456'],
  ] as const) {
    if (existsSync(`${cgroup}/${file}`)) writeFileSync(`${cgroup}/${file}`, limit);
    else console.error(`no ${file} here: this machine does not offer the controller`);
  }
});
