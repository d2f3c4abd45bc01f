/** The host's side of the script: cgroup and network, each with its undo. */
import type { StartPlan } from '../../container/explain/explanation.ts';
import * as network from '../../network/steps.ts';
import type { Step } from '../../trace.ts';

/** What one step comes to. */
export interface Part {
  comment: string;
  commands: string[];
  /** In the order of doing; undone in the other. */
  undo: string[];
}

/** In the order in which tsrun does it. */
export function hostPart(start: StartPlan): Part[] {
  const own = start.network.networks.length > 0 || start.network.mode === 'none';
  return [...(own ? networkParts(start) : []), ...cgroupParts(start)];
}

function cgroupParts({ cgroup }: StartPlan): Part[] {
  const { path } = cgroup;
  if (path === undefined) return [];
  return cgroup.steps.map((step): Part => {
    const isOwn = step.shell === `mkdir ${path}`;
    const undo = [`rmdir ${path}`, 'sleep 0.1', `echo 1 >${path}/cgroup.kill 2>/dev/null`];
    return part(step, isOwn ? undo : []);
  });
}

function networkParts({ record, network: plan }: StartPlan): Part[] {
  const name = `tsrun-${record.id.slice(0, 12)}`;
  const parts: Part[] = [
    {
      comment: 'create a network namespace',
      commands: [`NS=${name}`, 'ip netns add "$NS"', 'ip -n "$NS" link set lo up'],
      undo: [`ip netns delete ${name} 2>/dev/null`],
    },
  ];
  const [attached] = plan.networks;
  if (attached === undefined) return parts;
  for (const step of attached.steps) {
    const shell = step.shell ?? '';
    if (step.title.startsWith('take the port')) {
      parts.push({ comment: `${step.title}: no command holds a port without listening`, commands: [], undo: [] });
    } else if (shell.startsWith('nft -f')) {
      parts.push(part(step, ['nft delete table inet tsrun']), part(network.tableKnows(attached.network), []));
    } else if (shell.startsWith('nft add element')) {
      parts.push(
        part(
          step,
          shell
            .split(' && ')
            .map((command) => withoutData(command.replace('add', 'delete')))
            .reverse(),
        ),
      );
    } else if (shell.startsWith('ip link add') && shell.includes('type bridge')) {
      parts.push(part(step, [`ip link delete ${attached.network.bridge}`]));
    } else if (shell.startsWith('ip link add')) {
      const cable = attached.attachment.hostInterface;
      parts.push(
        part({ ...step, shell: shell.replace('netns $PID', 'netns "$NS"') }, [`ip link delete ${cable} 2>/dev/null`]),
      );
    } else if (shell.includes('/ip_forward')) {
      parts.push(part(step, [shell.replace('echo 1', 'echo 0')]));
    } else if (shell.includes('/conf/eth')) {
      parts.push(part({ ...step, shell: `nsenter --net="/run/netns/$NS" sh -c '${shell}'` }, []));
    } else {
      parts.push(
        part({ ...step, shell: shell.replaceAll('nsenter -t $PID -n', 'nsenter --net="/run/netns/$NS"') }, []),
      );
    }
  }
  return parts;
}

/** An element of a map is deleted by its key. */
function withoutData(command: string): string {
  return command.replace(/ : [^}]*\}/, ' }');
}

function part({ title, why, shell = '' }: Step, undo: string[]): Part {
  const isComment = shell === '' || shell.startsWith('#');
  return { comment: why === undefined ? title : `${title}: ${why}`, commands: isComment ? [] : [shell], undo };
}
