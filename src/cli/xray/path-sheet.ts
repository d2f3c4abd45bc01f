/** `xray CONTAINER PATH`: every layer that has something at a path, laid out in a language. */
import type { PathView } from '../../container/xray/layers.ts';
import { tell } from '../explain/tell.ts';
import type { Language } from '../options/language.ts';
import { binarySize } from '../units.ts';
import { field, sheetSection, table, type XraySheet } from './sheet.ts';
import { xrayWords } from './words.ts';

export function sheetOfPath(found: PathView, container: string, language: Language): XraySheet {
  const words = xrayWords[language];
  const { path, resolved, answer, mount, places } = found;
  const rows = places.map(({ layer, kind, mode, uid, gid, size, target, isSeen }) => [
    layer === 0 ? words.ownDirectory : words.layerOf(layer),
    `${words.fileKinds[kind]}${target === undefined ? '' : ` -> ${target}`}`,
    ...(kind === 'whiteout' ? ['', '', ''] : [mode.toString(8).padStart(4, '0'), `${uid}:${gid}`, binarySize(size)]),
    isSeen ? words.yes : words.no,
  ]);
  return {
    language,
    heading: words.pathHeading(path, container),
    sections: [
      sheetSection(words, mount === undefined ? 'layers' : 'mounts', {
        about: `${answer.map((sentence) => tell(sentence, language)).join('; ')}.`,
        fields: [
          ...(resolved === path ? [] : [field(words, 'resolved', resolved)]),
          ...(mount === undefined
            ? []
            : [
                field(words, 'place', mount.point),
                field(words, 'kind', words.mountKinds[mount.kind]),
                field(words, 'type', mount.type),
                field(words, 'options', mount.options.join(',')),
              ]),
        ],
        table: rows.length === 0 ? undefined : table(words, ['layer', 'kind', 'mode', 'owner', 'size', 'seen'], rows),
      }),
    ],
  };
}
