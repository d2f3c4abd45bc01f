/** `inspect` of an image: docker's document (API 1.41, ImageInspect), built from the store's entry and its config. */
import type { ImageExecution } from '../../image/config.ts';
import { type ContainerSide, emptyExecution, noContainer } from '../../image/config-json.ts';
import type { ConfigOrigin } from '../../image/config-origin.ts';
import { familiarName, parseReference } from '../../image/reference.ts';
import type { StoredImage } from '../../image/store.ts';
import { GoMap, listOrNil, nilMap, type Struct, stringMap, type Value, withOmitted } from '../format/value.ts';
import { emptyConfig } from './container-inspect.ts';

function familiar(names: readonly string[]): string[] {
  return names.map((name) => familiarName(parseReference(name)));
}

function set(names: readonly string[]): GoMap {
  return names.length === 0
    ? nilMap
    : new GoMap(
        names.map((name): [string, Value] => [name, {}]),
        {},
      );
}

/** The document of one image. */
export function imageDocument(
  image: StoredImage,
  layerPath: (chainId: string) => string,
  origin: ConfigOrigin | undefined = undefined,
): Struct {
  const { config } = image;
  const paths = image.layers.map((layer) => layerPath(layer.chainId)).reverse();
  const [upper = '', ...lower] = paths;
  const fields: Struct = {
    Id: image.id,
    RepoTags: familiar(image.references),
    RepoDigests: familiar(image.repoDigests),
    Parent: image.parent ?? '',
    Comment: origin?.comment || (config.history.at(-1)?.comment ?? ''),
    Created: image.created,
    Container: origin?.container ?? '',
    ContainerConfig: configOf(origin?.containerExecution ?? emptyExecution(), origin?.containerSide ?? noContainer),
    DockerVersion: origin?.dockerVersion ?? '',
    Author: config.author,
    Config: configOf(config.execution, origin?.side ?? noContainer),
    Architecture: image.platform.architecture,
    ...(image.platform.variant === '' ? {} : { Variant: image.platform.variant }),
    Os: image.platform.os,
    Size: image.size,
    VirtualSize: image.size,
    GraphDriver: {
      Data: stringMap({ ...(lower.length === 0 ? {} : { LowerDir: lower.join(':') }), UpperDir: upper }),
      Name: 'overlay2',
    },
    RootFS: { Type: 'layers', Layers: [...config.diffIds] },
    Metadata: { LastTagTime: image.tagged ?? '0001-01-01T00:00:00Z' },
  };
  return withOmitted(fields, { Variant: '', OsVersion: '' });
}

function configOf(execution: ImageExecution, side: ContainerSide): Struct {
  const { healthcheck } = execution;
  const fields: Struct = {
    Hostname: side.hostname,
    Domainname: side.domainname,
    User: execution.user,
    AttachStdin: side.attachStdin,
    AttachStdout: side.attachStdout,
    AttachStderr: side.attachStderr,
    ...(execution.exposedPorts.length === 0 ? {} : { ExposedPorts: set(execution.exposedPorts) }),
    Tty: side.tty,
    OpenStdin: side.openStdin,
    StdinOnce: side.stdinOnce,
    Env: listOrNil(execution.env),
    Cmd: listOrNil(execution.cmd),
    ...(healthcheck === undefined
      ? {}
      : {
          Healthcheck: {
            Test: healthcheck.test,
            ...(healthcheck.interval === 0 ? {} : { Interval: healthcheck.interval }),
            ...(healthcheck.timeout === 0 ? {} : { Timeout: healthcheck.timeout }),
            ...(healthcheck.startPeriod === 0 ? {} : { StartPeriod: healthcheck.startPeriod }),
            ...(healthcheck.retries === 0 ? {} : { Retries: healthcheck.retries }),
          },
        }),
    Image: side.image,
    Volumes: set(execution.volumes),
    WorkingDir: execution.workingDir,
    Entrypoint: listOrNil(execution.entrypoint),
    OnBuild: listOrNil(execution.onBuild),
    Labels: Object.keys(execution.labels).length === 0 ? nilMap : stringMap(execution.labels),
    ...(execution.stopSignal === '' ? {} : { StopSignal: execution.stopSignal }),
    ...(execution.stopTimeout === undefined ? {} : { StopTimeout: execution.stopTimeout }),
    ...(execution.shell.length === 0 ? {} : { Shell: execution.shell }),
  };
  return withOmitted(fields, emptyConfig);
}
