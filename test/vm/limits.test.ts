/**
 * Limits, and the kernel 6.1 of Debian 12: test/vm/guest and integration tests, run in a guest with one hierarchy of cgroups.
 * With hardware virtualization, or TSRUN_VM_ALL=1, all integration tests; an emulated processor takes an hour for them, so
 * that it runs those in which the kernel matters and that do not start hundreds of commands.
 */
import { accelerator } from '../../scripts/vm/machine.ts';
import { guestTests } from './report.ts';

const all = process.env.TSRUN_VM_ALL === '1' || accelerator() === 'kvm';

const some = ['cgroup', 'seccomp', 'network', 'unpack-settle', 'monitor-exit'];
const files = [
  'test/vm/guest/',
  ...(all ? ['test/integration/'] : some.map((name) => `test/integration/${name}.test.ts`)),
];
const minutes = process.env.TSRUN_VM_ALL === '1' && accelerator() === 'tcg' ? 120 : 15;

await guestTests(
  'limits on cgroup v2, Linux 6.1',
  {
    profile: 'plain',
    // One worker for all files: starting another takes seconds here.
    script: [
      `export TSRUN_LEAK_CHECK=${accelerator() === 'kvm' ? 'test' : 'file'}`,
      `export TSRUN_TEST_IMAGES='${all ? 'busybox test debian' : 'busybox test'}'`,
      'node node_modules/vitest/vitest.mjs run --no-color --config test/vm/guest/vitest.config.ts \\',
      `  ${all ? '' : '--no-isolate '}--reporter=verbose --reporter=json --outputFile.json=/results/tests.json ${files.join(' ')}`,
    ].join('\n'),
    milliseconds: minutes * 60_000,
  },
  60,
);
