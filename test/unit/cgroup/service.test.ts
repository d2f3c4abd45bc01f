import { expect, test } from 'vitest';
import { belongsToService } from '../../../src/cgroup/service.ts';

test.each(['/system.slice/cron.service', '/user.slice/user-0.slice/user@0.service/app.slice/term.scope'])(
  '%s ends what is left in it',
  (path) => {
    expect(belongsToService(path)).toBe(true);
  },
);

test.each(['/', '/user.slice/user-0.slice/session-1.scope', '/tsrun/abc', '/init.scope'])('%s does not', (path) => {
  expect(belongsToService(path)).toBe(false);
});
