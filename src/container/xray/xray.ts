/** Everything that `xray` shows of a container, as the kernel and the store have it at one moment. No language, no layout. */
import { TsrunError } from '../../error.ts';
import type { ImageStore } from '../../image/store.ts';
import { isUp, requireRunning } from '../active.ts';
import { processesOf } from '../processes.ts';
import type { Container } from '../record.ts';
import type { ContainerStore } from '../store.ts';
import { type LayerView, layersOf } from './layers.ts';
import { type CgroupView, cgroupOf } from './limits.ts';
import { describeMounts, type MountView, readMounts } from './mounts.ts';
import { type NamespaceView, namespacesOf } from './namespaces.ts';
import { type PacketWay, packetWays } from './packets.ts';
import { type ProcessView, processTree } from './processes.ts';
import { type SecurityView, securityOf } from './security.ts';

export interface Xray {
  id: string;
  name: string;
  image: string;
  status: string;
  startedAt: string | undefined;
  pid: number;
  monitorPid: number;
  namespaces: NamespaceView[];
  processes: ProcessView[];
  mounts: MountView[];
  /** Lowest first. */
  layers: LayerView[];
  /** What the container writes goes there. */
  upper: string;
  cgroup: CgroupView | undefined;
  security: SecurityView;
  ways: PacketWay[];
}

/** Throws `CONFLICT` where the container does not run, `NOT_FOUND` where it is not there. */
export function xray(store: ContainerStore, images: ImageStore, name: string): Xray {
  const container = store.resolve(name);
  requireRunning(container);
  try {
    return look(store, images, container);
  } catch (error) {
    // It may have ended while it was looked at: then that is the answer.
    requireRunning(store.resolve(name));
    throw error;
  }
}

function look(store: ContainerStore, images: ImageStore, container: Container): Xray {
  const { record, state, directory } = container;
  if (state.pid === 0) throw new TsrunError('CONFLICT', `Container ${record.id} is not running`);
  const layers = images.openLayers(record.image.layers, record.image.reference);
  try {
    return {
      ...{ id: record.id, name: record.name, image: record.image.reference, status: state.status },
      ...{ startedAt: state.startedAt, pid: state.pid, monitorPid: state.start?.monitorPid ?? 0 },
      namespaces: namespacesOf(state.pid, others(store, record.id)),
      processes: processTree(processesOf(container)),
      mounts: describeMounts(readMounts(state.pid), record),
      layers: layersOf(images, container, layers),
      upper: `${directory}/upper`,
      cgroup: cgroupOf(container),
      security: securityOf(state.pid, directory),
      ways: packetWays(container),
    };
  } finally {
    layers.close();
  }
}

/** First processes of the other containers that run. */
function others(store: ContainerStore, id: string): Map<string, number> {
  const running = store.list(undefined, isUp).filter(({ record, state }) => record.id !== id && state.pid !== 0);
  return new Map(running.map(({ record, state }) => [record.name, state.pid]));
}
