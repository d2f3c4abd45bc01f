/** What a pull reports while it works; progress.ts turns it into what `docker pull` shows. */

/** Docker's words for what happens to a layer. */
export type LayerStatus =
  | 'Pulling fs layer'
  | 'Waiting'
  | 'Downloading'
  | 'Retrying'
  | 'Verifying Checksum'
  | 'Download complete'
  | 'Extracting'
  | 'Pull complete'
  | 'Already exists';

/** The same for a push. */
export type LayerPushStatus =
  | 'Preparing'
  | 'Waiting'
  | 'Pushing'
  | 'Retrying'
  | 'Pushed'
  | 'Layer already exists'
  | 'Skipped foreign layer'
  | `Mounted from ${string}`;

export interface LayerEvent {
  kind: 'layer';
  /** Which of the image's layers, 0 is the lowest. */
  index: number;
  /** Twelve digits of the blob's digest; of the diffID in a push. */
  id: string;
  status: LayerStatus | LayerPushStatus;
  /** Bytes of the blob, while it is downloaded or extracted. */
  current?: number;
  total?: number;
  /** Seconds until the next attempt, while it is retrying. */
  delay?: number;
}

export type PullEvent =
  /** The manifest is there: `latest: Pulling from library/debian`. */
  | { kind: 'start'; what: string; repository: string }
  | LayerEvent
  /** Something that people should know, in one line; it belongs on stderr. */
  | { kind: 'warning'; text: string }
  | {
      kind: 'end';
      /** Of what the registry has under the name. */
      digest: string;
      changed: boolean;
      /** `debian:latest` */
      familiar: string;
      /** `docker.io/library/debian:latest` */
      canonical: string;
    };

export type PullListener = (event: PullEvent) => void;

export type PushEvent =
  /** `docker.io/library/debian` */
  | { kind: 'begin'; repository: string }
  | LayerEvent
  | { kind: 'warning'; text: string }
  /** `latest: digest: sha256:… size: 1234` */
  | { kind: 'pushed'; tag: string; digest: string; size: number };

export type PushListener = (event: PushEvent) => void;
