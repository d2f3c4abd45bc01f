/** `explain run`: what `create` and `start` would do, from the image to the end of the container, without doing it. */
import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupPlan, planCgroup, planRemoval } from '../../cgroup/plan.ts';
import { TsrunError } from '../../error.ts';
import type { LayerPlace } from '../../image/layers.ts';
import { architecture } from '../../linux/syscalls.ts';
import { networkFiles } from '../../network/names.ts';
import { newNamespace } from '../../network/steps.ts';
import { compileStart } from '../../runtime/compile/start.ts';
import { compileSeccomp, seccompProfile } from '../../runtime/seccomp/index.ts';
import type { Mount } from '../../runtime/spec.ts';
import { type IdMappings, makeNamespaceStep, mapStep } from '../../runtime/user-namespace.ts';
import type { Step } from '../../trace.ts';
import { newRecord } from '../create.ts';
import type { Engine, EngineIo } from '../engine.ts';
import { LayerMounts } from '../layer-mounts.ts';
import { LayeredRoot } from '../layered-root.ts';
import { fdFirstPort } from '../monitor.ts';
import { planMounts } from '../mount-plan.ts';
import { buildSpec } from '../oci-config.ts';
import type { ContainerRecord, MountRecord } from '../record.ts';
import type { RunOptions } from '../run-options.ts';
import { validateSecurityOptions } from '../security.ts';
import { mountPointOf } from '../shared-mounts.ts';
import { compileOptions, hasOwnNetns, inherited } from '../start.ts';
import * as steps from '../steps.ts';
import type { ContainerStore } from '../store.ts';
import { checkUserns, mappingsAt, parseUserns, rangeAt } from '../userns.ts';
import { resolveUser } from '../users.ts';
import { isWithout, missingWalls } from '../walls.ts';
import { type ExplainedStep, type Explanation, hostStep, note, programSteps } from './explanation.ts';
import { type NetworkPlan, planNetwork } from './network-plan.ts';
import { lookUpImage } from './stand-in.ts';

/** Throws what the real `run` would throw before it has made anything. `pull`: an image that is not here is pulled. */
export async function planRun(engine: Engine, options: RunOptions, io: EngineIo, pull: boolean): Promise<Explanation> {
  validateSecurityOptions(options.securityOpt);
  checkUserns(options);
  const store = engine.containers;
  const { image, layers, opened, isStandIn, isOpaque } = await lookUpImage(engine, options, io, pull);
  const mounts = planMounts(options, image.volumes, (text) => store.resolve(text).record).map((mount) =>
    withSource(store, mount),
  );
  const record = newRecord(options, image, (line) => io.notice(line), mounts);
  const directory = store.directory(record.id);
  const user = standInUser(isStandIn || isOpaque, () =>
    resolveUser(new LayeredRoot(image.layers.map(({ path }) => path).reverse()), record.process.user, options.groupAdd),
  );
  opened.close();
  const planned = planNetwork(store, record);
  const choice = parseUserns(options.userns);
  const range = rangeAt(0);
  const userns = choice === undefined || range === undefined ? undefined : mappingsAt(range, choice);
  const network = userns === undefined ? planned : inUserNamespace(planned, options);
  const spec = buildSpec({
    ...{ record, user, directory, networkMode: network.mode, term: process.env.TERM, userns },
    ...joinedPaths(options, fdFirstPort + network.portCount),
  });
  const cgroup = planCgroup(record.id, spec.linux?.resources ?? {});
  const seccomp = filterOf(options, spec.process?.capabilities?.bounding ?? []);
  const held = [options.pidMode, options.ipcMode].filter((mode) => mode.startsWith('container:')).length;
  const mark = 1; // openMark
  const firstLayerFd = fdFirstPort + network.portCount + held + mark;
  const mounted = mountSteps(store, record, layers);
  const made = {
    ...{ layers, firstLayerFd, joinNetns: network.joinNetns, intoCgroup: cgroup.path !== undefined, seccomp },
    ...(userns === undefined ? {} : { userns: inherited(userns, firstLayerFd + mounted.length) }),
  };
  const program = compileStart({
    ...compileOptions(store, record, spec, made),
    isDirectory: (path) => isDirectory(path, spec.mounts ?? []),
  }).build();
  return {
    command: 'run',
    subject: options.image,
    isStandIn,
    remarks: [
      ...missingWalls(options),
      ...(isOpaque && /[^0-9:]/.test(record.process.user)
        ? [`only root may look for the user ${record.process.user} in the image: 1000 stands for it`]
        : []),
      ...cgroup.missing.map((name) => `this machine does not offer the controller ${name}: the real run would refuse`),
    ],
    start: {
      ...{ record, spec, program, seccomp, network, cgroup, directory },
      mountPoint: mountPointOf(store, record),
      files: namesOf(record, network),
    },
    steps: [
      hostStep(steps.findImage(options.image)),
      ...(isStandIn ? pullNotes() : []),
      ...volumeNotes(mounts),
      hostStep(steps.makeRecord(record.id)),
      hostStep(steps.listenForClients()),
      ...mounted.map((step) => hostStep(step)),
      ...(userns === undefined ? [] : usernsSteps(userns, hasOwnNetns(options))).map((step) => hostStep(step)),
      ...network.steps.map((step) => hostStep(step)),
      ...cgroup.steps.map((step) => hostStep(step)),
      hostStep(steps.compileSeccomp()),
      hostStep(steps.compileProgram()),
      hostStep(steps.startMonitor()),
      ...programSteps(program),
      ...lifeNotes(record),
      ...teardown(record, network, cgroup),
    ],
  };
}

/** How a start comes by the mounts of its layers, with the containers that are up now. */
function mountSteps(store: ContainerStore, { image }: ContainerRecord, layers: readonly LayerPlace[]): Step[] {
  const mounts = new LayerMounts(store, image.layers);
  try {
    return layers.flatMap((place, index) => {
      if (place.kind === 'unpacked') return [];
      const id = mounts.sharedWith(place, index);
      return [id === undefined ? steps.mountLayer(index) : steps.shareLayer(index, id)];
    });
  } finally {
    mounts.close();
  }
}

/** What `connectNetwork` writes for the container to find names by. */
function namesOf({ options, hostname }: ContainerRecord, { mode, networks }: NetworkPlan): Record<string, string> {
  const [first, ...others] = networks.map(({ attachment }) => attachment);
  const { domainname, extraHosts, dns, dnsSearch, dnsOptions } = options;
  return networkFiles({
    ...{ hostname, domainname, extraHosts, dns, dnsSearch, dnsOptions },
    network: mode === 'host' ? 'host' : first === undefined ? 'none' : 'bridge',
    address: first?.address,
    gateway: first?.gateway,
    otherAddresses: others.map(({ address }) => address),
  });
}

/** A volume that is not there yet gets its place. */
function withSource(store: ContainerStore, mount: MountRecord): MountRecord {
  if (mount.type !== 'volume' || mount.source !== '') return mount;
  return { ...mount, source: join(store.root, 'volumes', mount.name ?? '<new>', '_data') };
}

/** The stand-in image has no users. */
function standInUser(
  isStandIn: boolean,
  resolve: () => ReturnType<typeof resolveUser>,
): ReturnType<typeof resolveUser> {
  try {
    return resolve();
  } catch (error) {
    if (isStandIn && error instanceof TsrunError) return { uid: 1000, gid: 1000, additionalGids: [1000], home: '/' };
    throw error;
  }
}

function usernsSteps({ uids, gids }: IdMappings, withNetwork: boolean): Step[] {
  return [makeNamespaceStep(withNetwork), mapStep('$HOLDER', 'uid_map', uids), mapStep('$HOLDER', 'gid_map', gids)];
}

/** The network namespace comes with the user namespace. */
function inUserNamespace(plan: NetworkPlan, options: RunOptions): NetworkPlan {
  const { title } = newNamespace();
  return {
    ...plan,
    joinNetns: plan.joinNetns || hasOwnNetns(options),
    steps: plan.steps.filter((step) => step.title !== title),
  };
}

/** As `start` lays out what the monitor keeps: the descriptors behind those of the ports. */
function joinedPaths({ pidMode, ipcMode }: RunOptions, firstFd: number): { joinedPid?: string; joinedIpc?: string } {
  const pid = pidMode.startsWith('container:');
  const ipc = ipcMode.startsWith('container:');
  return {
    ...(pid ? { joinedPid: `/proc/self/fd/${firstFd}` } : {}),
    ...(ipc ? { joinedIpc: `/proc/self/fd/${firstFd + (pid ? 1 : 0)}` } : {}),
  };
}

/** As `loadSeccomp`, which keeps what it has compiled. */
function filterOf({ securityOpt, privileged }: RunOptions, bounding: readonly string[]): Uint8Array | undefined {
  const chosen = securityOpt.findLast((option) => /^seccomp[=:]/.test(option))?.slice('seccomp='.length);
  if (chosen === undefined && privileged) return undefined;
  const profile = seccompProfile(chosen === 'default' ? undefined : chosen, bounding);
  return profile === undefined ? undefined : compileSeccomp(profile, architecture);
}

/** What a bind mount of a source that is not there yet would be: -v makes directories, tsrun's own are files. */
function isDirectory(path: string, mounts: readonly Mount[]): boolean {
  const stats = statOf(path);
  if (stats !== undefined) return stats.isDirectory();
  return !mounts.some(
    ({ source, destination }) => source === path && /^\/etc\/(hosts|hostname|resolv\.conf)$/.test(destination),
  );
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function pullNotes(): ExplainedStep[] {
  return [
    note(
      'command',
      'image',
      'ask the registry for the manifest of this platform',
      'a tag is only a name: the manifest lists the config and the layers by their digests',
    ),
    note(
      'command',
      'image',
      'download, check, decompress and unpack each layer, several at once',
      'a digest that does not fit is refused before anything of it is used; a directory of a layer appears by a rename, complete or not at all',
    ),
  ];
}

function volumeNotes(mounts: readonly MountRecord[]): ExplainedStep[] {
  return mounts
    .filter(({ type }) => type === 'volume')
    .map(({ name = '', destination }) =>
      note(
        'command',
        'rootfs',
        `see to the volume ${name || 'without a name'} for ${destination}`,
        'a new one is filled with what the image has there; it stays when the container goes',
      ),
    );
}

/** Between the start and the end: loops, which no list of calls can have. */
function lifeNotes({ options, healthcheck }: ContainerRecord): ExplainedStep[] {
  const notes = [
    note(
      'monitor',
      'monitor',
      'monitor: copy what the container prints to its log and to whoever is attached',
      'the command line may end, the container goes on; this is plain C (native/), since a list of calls has no loops',
    ),
    note(
      'monitor',
      'monitor',
      'monitor: wait for the end, and write down how it was',
      'only the parent of a process gets its exit status',
    ),
  ];
  if (healthcheck !== undefined) {
    notes.push(
      note(
        'monitor',
        'monitor',
        'monitor: run the health check on a clock',
        'a second program, made beforehand, which joins the namespaces of the container as "exec" does',
      ),
    );
  }
  if (options.restart.name !== 'no') {
    notes.push(
      note(
        'monitor',
        'monitor',
        'monitor: run the program again, as the restart policy has it',
        'a fresh mapping of the same memory file is a fresh copy of the program',
      ),
    );
  }
  return notes;
}

/** As `reap` has it: by the foreground command itself, or by `tsrun reap`, which the monitor becomes. */
function teardown(record: ContainerRecord, network: NetworkPlan, { path }: CgroupPlan): ExplainedStep[] {
  const side = record.options.detach ? 'cleanup' : 'command';
  const planned = [
    steps.disconnectNetwork(),
    ...network.teardown,
    ...(path === undefined ? [] : [steps.removeCgroup(), ...planRemoval(path, false)]),
    ...(isWithout(record.options, 'mount') ? [steps.takeMountsAway()] : []),
    ...(record.options.remove ? [steps.removeContainer(true)] : []),
  ];
  return planned.map((step) => hostStep(step, side));
}
