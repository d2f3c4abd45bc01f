/**
 * Limits, and the kernel 6.1 of Debian 12: test/vm/guest and integration tests, run in a guest with one hierarchy of cgroups.
 * Of the integration tests those in which the kernel matters and that do not start hundreds of commands: an emulated
 * processor would take an hour for the rest. TSRUN_VM_ALL=1 runs all that need neither a compiler nor firewalls,
 * TSRUN_VM_TESTS=userns,exec those files alone.
 */
import { accelerator } from '../../scripts/vm/machine.ts';
import { guestTests } from './report.ts';

const all = process.env.TSRUN_VM_ALL === '1';

const some = ['cgroup', 'cp-overlay', 'network'];
const named = process.env.TSRUN_VM_TESTS;
const paths = (names: readonly string[]): string[] => names.map((name) => `test/integration/${name}.test.ts`);
const files = [
  ...(named === undefined ? ['test/vm/guest/'] : paths(named.split(','))),
  ...(all
    ? ['test/integration/', '--exclude=**/seccomp.test.ts', '--exclude=**/network-firewall.test.ts']
    : paths(named === undefined ? some : [])),
];
const minutes = all ? 120 : named === undefined ? 25 : 60;

await guestTests(
  'limits on cgroup v2, Linux 6.1',
  {
    profile: 'plain',
    // One worker for all files: starting another takes seconds here.
    script: [
      `export TSRUN_TEST_SLOWNESS=${accelerator() === 'kvm' ? 1 : 5}`,
      `export TSRUN_LEAK_CHECK=${accelerator() === 'kvm' ? 'test' : 'file'}`,
      `export TSRUN_TEST_IMAGES='${all || named !== undefined ? 'busybox test debian' : 'busybox test'}'`,
      'node node_modules/vitest/vitest.mjs run --no-color --config test/vm/guest/vitest.config.ts \\',
      `  ${all ? '' : '--no-isolate '}--reporter=verbose --reporter=json --outputFile.json=/results/tests.json ${files.join(' ')}`,
    ].join('\n'),
    milliseconds: minutes * 60_000,
  },
  60,
);
