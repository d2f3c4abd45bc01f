/** What docker's configs say beyond the OCI image-spec: where an image came from. Only `inspect` wants to know. */
import { type ImageExecution, parseExecution } from './config.ts';
import type { ContainerSide } from './config-json.ts';
import { type Json, type JsonSource, parseJson } from './json.ts';

export interface ConfigOrigin {
  /** Id of the container that it was committed from. */
  container: string;
  dockerVersion: string;
  comment: string;
  /** Of `config`. */
  side: ContainerSide;
  /** `container_config`. */
  containerExecution: ImageExecution;
  containerSide: ContainerSide;
}

const maxText = 1024 * 1024;

/** Reads it from the config's bytes. Throws with the source's code when a field is not what it must be. */
export function parseOrigin(bytes: Uint8Array, source: JsonSource): ConfigOrigin {
  const json = parseJson(bytes, source);
  const text = (name: string): string => json.get(name).optionalString(maxText) ?? '';
  const containerConfig = json.get('container_config');
  return {
    container: text('container'),
    dockerVersion: text('docker_version'),
    comment: text('comment'),
    side: parseSide(json.get('config')),
    containerExecution: parseExecution(containerConfig),
    containerSide: parseSide(containerConfig),
  };
}

function parseSide(json: Json): ContainerSide {
  const field = (name: string): Json => (json.absent ? json : json.get(name));
  const text = (name: string): string => field(name).optionalString(maxText) ?? '';
  const flag = (name: string): boolean => !field(name).absent && field(name).boolean();
  return {
    hostname: text('Hostname'),
    domainname: text('Domainname'),
    attachStdin: flag('AttachStdin'),
    attachStdout: flag('AttachStdout'),
    attachStderr: flag('AttachStderr'),
    tty: flag('Tty'),
    openStdin: flag('OpenStdin'),
    stdinOnce: flag('StdinOnce'),
    image: text('Image'),
  };
}
