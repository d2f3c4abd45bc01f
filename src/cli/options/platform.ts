/**
 * `--platform`: of what is to be pulled or built, and of commands that look at images which are here: an image has one platform, and it is the one that was meant or
 * none is.
 */
import { TsrunError } from '../../error.ts';
import { formatPlatform, type Platform, parsePlatform, platformMatches } from '../../image/platform.ts';
import type { StoredImage } from '../../image/store.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';

export const platformFlag: Flag = {
  name: 'platform',
  type: 'string',
  description: 'Only an image for this platform (os[/arch[/variant]])',
  check: (text) => void platformsOf([text]),
};

/** What --platform says; where it is not given, docker's variable. Undefined: nothing. */
export function wantedPlatform(flags: ParsedFlags): string | undefined {
  return flags.string('platform') || process.env.DOCKER_DEFAULT_PLATFORM || undefined;
}

function platformsOf(texts: readonly string[]): Platform[] {
  return texts.flatMap((text) => text.split(',').filter((part) => part !== '')).map(parsePlatform);
}

/** Throws `NOT_FOUND` in docker's words where `image` is for none of the platforms that were asked for. */
export function checkPlatform(flags: ParsedFlags, image: StoredImage, name: string): void {
  const wanted = platformsOf(flags.strings('platform'));
  if (wanted.length === 0 || wanted.some((platform) => platformMatches(platform, image.platform))) return;
  const asked = wanted.map(formatPlatform).join(', ');
  throw new TsrunError(
    'NOT_FOUND',
    `image with reference ${name} was found but its platform (${formatPlatform(image.platform)}) does not match the specified platform (${asked})`,
    { hint: `there is one image under a name: tsrun pull --platform ${wanted.map(formatPlatform)[0]} ${name}` },
  );
}
