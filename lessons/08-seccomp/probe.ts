/** What the check does in the learner's container: an ordinary socket must be there, a packet socket must be refused. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { AF_INET, SOCK_RAW, SOCK_STREAM } from 'tsrun/linux/constants.ts';
import { errno } from 'tsrun/linux/errno.ts';

const AF_PACKET = 17;
const KEYCTL_GET_KEYRING_ID = 0;

export default {
  attack(b) {
    b.call('socket', [AF_INET, SOCK_STREAM, 0], { title: 'make an ordinary socket' });
    const refused = { equals: -errno.EPERM };
    b.call('socket', [AF_PACKET, SOCK_RAW, 0], { title: 'be refused a packet socket', expect: refused });
    b.call('keyctl', [KEYCTL_GET_KEYRING_ID, -4, 0], { title: 'be refused keyctl, as before', expect: refused });
    execute(b, ['true']);
  },
} satisfies BreakOut;
