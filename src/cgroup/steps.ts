/** What is done with a container's cgroup, in words: read by the code that does it, and by the plan that explains it. */
import { join } from 'node:path';
import type { Step } from '../trace.ts';

/** A directory above those of containers. */
export function makeParent(directory: string): Step {
  return { phase: 'cgroup', title: `make the cgroup ${directory}`, shell: `mkdir ${directory}` };
}

export function enableController(controller: string, directory: string): Step {
  return {
    phase: 'cgroup',
    title: `enable the controller ${controller} in ${directory}`,
    why: 'a controller works in a cgroup only when its parent hands it down',
    shell: `echo +${controller} > ${join(directory, 'cgroup.subtree_control')}`,
  };
}

/** The container's own. */
export function makeOwn(path: string): Step {
  return {
    phase: 'cgroup',
    title: `make the cgroup ${path}`,
    why: 'processes start inside it, so that nothing ever runs without its limits, and it ends all of them at once',
    shell: `mkdir ${path}`,
  };
}

export function writeLimit(path: string, { file, value }: { file: string; value: string }, why: string): Step {
  return { phase: 'cgroup', title: `${file} = ${value}`, why, shell: `echo ${value} > ${join(path, file)}` };
}

/** `exceptions`: devices that are treated other than the rest. */
export function deviceControl(exceptions: number): Step {
  return {
    phase: 'cgroup',
    title: `device control by a BPF program (${exceptions} exceptions)`,
    why: 'root in the container may make any device node; the program refuses to open those of the host',
    shell: '# bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE), bpf(BPF_PROG_ATTACH): there is no command for it',
  };
}

export function killAll(path: string): Step {
  return {
    phase: 'teardown',
    title: 'kill all processes of the cgroup',
    why: 'the kernel does it at once and sees processes that are being made (Linux 5.14)',
    shell: `echo 1 > ${join(path, 'cgroup.kill')}`,
  };
}

export function removeOwn(path: string): Step {
  return {
    phase: 'teardown',
    title: `remove the cgroup ${path}`,
    why: 'cgroups outlive their processes',
    shell: `find ${path} -depth -type d -exec rmdir {} +`,
  };
}
