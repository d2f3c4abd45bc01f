import { expect, test } from 'vitest';
import { parseArguments } from '../../../../src/cli/arguments.ts';
import { checkPlatform, platformFlag } from '../../../../src/cli/options/platform.ts';
import type { StoredImage } from '../../../../src/image/store.ts';

const image = { platform: { os: 'linux', architecture: 'arm64', variant: '' } } as StoredImage;
const check = (...argv: string[]): void =>
  checkPlatform(
    parseArguments(argv, { command: 'x', flags: [platformFlag], interspersed: true }).flags,
    image,
    'busybox',
  );

test('an image of the platform that was asked for is taken, and any without one', () => {
  check();
  check('--platform', 'linux/arm64');
  check('--platform', 'linux/arm64/v8');
  check('--platform', 'linux/amd64,linux/arm64');
});

test('another one is refused in docker words, with what to do', () => {
  expect(() => check('--platform', 'linux/amd64')).toThrow(
    'image with reference busybox was found but its platform (linux/arm64) does not match the specified platform (linux/amd64)',
  );
  expect(() => check('--platform', 'bogus')).toThrow('is not a platform');
});
