/** What the kernel says of itself and of this host (man 2 uname), without loading node:os. */
import { syscall } from './ffi.ts';
import { check } from './fs.ts';

/** Length of each text of struct new_utsname, with its NUL. */
const fieldLength = 65;
const fields = ['sysname', 'nodename', 'release', 'version', 'machine', 'domainname'] as const;

/** `nodename` is the host's name in the uts namespace of this process. */
export function uname(): Record<(typeof fields)[number], string> {
  const bytes = Buffer.alloc(fieldLength * fields.length);
  check(syscall('uname', bytes), 'uname');
  const text = (index: number): string => {
    const field = bytes.subarray(index * fieldLength, (index + 1) * fieldLength);
    return field.toString('utf8', 0, field.indexOf(0));
  };
  return Object.fromEntries(fields.map((name, index) => [name, text(index)])) as ReturnType<typeof uname>;
}
