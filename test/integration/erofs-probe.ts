/** What this kernel makes of mounted layers, asked once for each file of tests. */
import { mkdtempSync } from 'node:fs';
import { probeErofs } from '../../src/image/erofs/probe.ts';
import { removeTree } from '../../src/image/unpack/index.ts';

const directory = mkdtempSync('/var/tmp/tsrun-erofs-');
export const probe = probeErofs(directory);
removeTree(directory);
