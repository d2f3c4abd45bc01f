/** The raw system call under Node: the library built from native/syscall.c, loaded by koffi. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { artifact } from './artifacts.ts';
import type { Native } from './ffi.ts';

type Koffi = typeof import('koffi');

/** koffi's native module without the JavaScript around it, which takes longer to find it than it takes to load. */
function loadKoffi(require: NodeJS.Require): Koffi {
  try {
    return require(`@koromix/koffi-linux-${process.arch}`) as Koffi;
  } catch {
    return require('koffi') as Koffi;
  }
}

/** Throws `UNSUPPORTED` where the library or koffi is missing. */
export function loadWithKoffi(): Native {
  const path = artifact('tsrun-syscall.so');
  try {
    const koffi = loadKoffi(createRequire(join(import.meta.dirname, 'ffi.js')));
    const library = koffi.load(path);
    const syscallFunction = library.func('long tsrun_syscall(long, long, long, long, long, long, long)');
    const child = library.func('long tsrun_child(long, long)');
    const address = library.func('intptr_t tsrun_address(void *)');
    return {
      syscall: syscallFunction as unknown as Native['syscall'],
      child: child as unknown as Native['child'],
      address: address as unknown as Native['address'],
    };
  } catch (cause) {
    throw new TsrunError('UNSUPPORTED', `cannot load "${path}"`, {
      cause,
      hint: 'run `npm ci` in the checkout: it builds native/ and installs koffi',
    });
  }
}
