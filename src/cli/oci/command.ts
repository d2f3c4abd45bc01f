/** What a command of the OCI runtime is, and what each gets of the global options. */
import type { CgroupManager } from '../../oci/cgroup.ts';
import type { OciStore } from '../../oci/store.ts';
import type { ArgumentCount, ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';
import type { Log } from './log.ts';

export interface OciInvocation {
  flags: ParsedFlags;
  args: string[];
  store: OciStore;
  log: Log;
  manager: CgroupManager;
}

export interface OciCommand {
  usage: string;
  flags: readonly Flag[];
  args: ArgumentCount;
  /** Flags end at the first argument. */
  flagsFirst?: boolean;
  /** The exit code of a failure: 1 where it is not said. */
  failure?: number;
  run(invocation: OciInvocation): Promise<number>;
}
