/** The phases of a start that are the host's, told to whoever looks on before they begin. */
import { planCgroup } from '../cgroup/plan.ts';
import type { Spec } from '../runtime/spec.ts';
import { planNetwork } from './explain/network-plan.ts';
import type { ContainerNetwork } from './network.ts';
import type { ContainerRecord } from './record.ts';
import type { StartObserver } from './start.ts';
import * as steps from './steps.ts';
import type { ContainerStore } from './store.ts';

export class HostLook {
  constructor(
    private readonly observer: Required<Pick<StartObserver, 'before'>>,
    private readonly store: ContainerStore,
    private readonly record: ContainerRecord,
  ) {}

  async beforeNetwork(): Promise<void> {
    const upcoming = () => planNetwork(this.store, this.record).steps;
    await this.observer.before('network', upcoming, { pid: 0, netns: -1, cgroup: '' });
  }

  async beforeCgroup({ linux }: Spec, { netns }: ContainerNetwork): Promise<void> {
    const upcoming = () => planCgroup(this.record.id, linux?.resources ?? {}).steps;
    await this.observer.before('cgroup', upcoming, { pid: 0, netns, cgroup: '' });
  }

  async beforeMonitor({ netns }: ContainerNetwork, cgroup: string): Promise<void> {
    const upcoming = () => [steps.compileSeccomp(), steps.compileProgram(), steps.startMonitor()];
    await this.observer.before('monitor', upcoming, { pid: 0, netns, cgroup });
  }
}
