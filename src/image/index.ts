/** The image side of tsrun for the engine and the commands: names, the store, pulling. */
export type { StoredLayer } from './catalogue.ts';
export type { HistoryEntry, ImageConfig, ImageExecution, ImageHealthcheck } from './config.ts';
export type { Credentials } from './credentials.ts';
export { credentialsFor } from './credentials.ts';
export { type Digest, shortDigest } from './digest.ts';
export type { LayerEvent, LayerStatus, PullEvent, PullListener } from './events.ts';
export type { Held } from './layers.ts';
export { loadRegistrySettings, type RegistrySettings } from './mirrors.ts';
export { formatPlatform, hostPlatform, type Platform, parsePlatform, platformMatches } from './platform.ts';
export { formatSize, type ProgressOutput, type ProgressText, ProgressView } from './progress.ts';
export { type PulledImage, type PullOptions, pull } from './pull.ts';
export { familiarName, familiarRepository, formatReference, parseReference, type Reference } from './reference.ts';
export type { ImageUser, Removal } from './removal.ts';
export { ImageStore, type RemoveOptions, type StoredImage } from './store.ts';
