/** The network's part of a start, as `connectNetwork` would do it. */
import { codeOf } from '../../error.ts';
import { type AttachPlan, type AttachPlanOptions, NetworkLook, planAttach, planDetach } from '../../network/plan.ts';
import { nameFiles, newNamespace } from '../../network/steps.ts';
import type { Step } from '../../trace.ts';
import { networkMode } from '../endpoints.ts';
import { addressesOf, plansOf, portRequests } from '../network.ts';
import { liveContainers } from '../network-names.ts';
import type { ContainerRecord } from '../record.ts';
import type { ContainerStore } from '../store.ts';

export interface NetworkPlan {
  /** As `ContainerNetwork.mode`. */
  mode: string;
  /** The namespace is there before the container's first process, which enters it. */
  joinNetns: boolean;
  steps: Step[];
  teardown: Step[];
  networks: AttachPlan[];
  /** Sockets that the monitor would hold. */
  portCount: number;
}

/** Throws as the real start does: `NOT_FOUND` for networks and containers that are not there, `CONFLICT`, `USAGE`. */
export function planNetwork(store: ContainerStore, record: ContainerRecord): NetworkPlan {
  const mode = networkMode(record.options);
  const none = { mode, joinNetns: false, steps: [nameFiles()], teardown: [], networks: [], portCount: 0 };
  if ((mode === 'none' && record.endpoints === undefined) || mode === 'host') return none;
  if (mode.startsWith('container:')) {
    const other = store.resolve(mode.slice('container:'.length));
    return { ...none, mode: `container:${other.record.id}`, joinNetns: true };
  }
  const look = new NetworkLook();
  try {
    const others = live(store);
    const networks = plans(record).map((plan) =>
      planAttach(look, { ...plan, containerId: record.id, inUse: () => addressesOf(others) }),
    );
    const cable = record.options.remove ? 'leave' : 'delete';
    return {
      mode,
      joinNetns: true,
      steps: [newNamespace(), ...networks.flatMap(({ steps }) => steps), nameFiles()],
      teardown: networks.flatMap(({ attachment }) => planDetach(attachment, { cable })),
      networks,
      portCount: networks.reduce((sum, { attachment }) => sum + attachment.ports.length, 0),
    };
  } finally {
    look.close();
  }
}

/** Who may not read the records of networks is shown the default one, which needs none. */
function plans(record: ContainerRecord): Omit<AttachPlanOptions, 'containerId' | 'inUse'>[] {
  try {
    return plansOf(record);
  } catch (error) {
    if (codeOf(error) !== 'EACCES' || networkMode(record.options) !== 'bridge') throw error;
    return [{ ports: portRequests(record), mac: record.options.macAddress }];
  }
}

/** Without root the records of others cannot be read: then nobody is there. */
function live(store: ContainerStore): ReturnType<typeof liveContainers> {
  try {
    return liveContainers(store);
  } catch {
    return [];
  }
}
