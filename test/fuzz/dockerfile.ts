/** Dockerfiles, and the flags in them that name mounts. */
import { parseDockerfile } from '../../src/build/dockerfile/parser.ts';
import { parseRunMount } from '../../src/build/dockerfile/run-mount.ts';
import { holds, processorTime, refusing, type Target } from './target.ts';

const dockerfile: Target = {
  name: 'dockerfile',
  words: [
    ...[
      'FROM ',
      'RUN ',
      'COPY --from=',
      'ADD ',
      'ARG ',
      'ENV ',
      'ONBUILD ',
      'HEALTHCHECK ',
      '# escape=`\n',
      '# syntax=x\n',
    ],
    ...[
      '<<EOF\n',
      '\nEOF\n',
      '\\\n',
      '`\n',
      '["',
      '"]',
      '$',
      '${',
      '}',
      ' AS ',
      '--mount=type=',
      "'",
      '\r\n',
      '\ufeff',
      '\0',
    ],
  ],
  seeds: () =>
    [
      'FROM debian AS a\nRUN echo "a b" && \\\n  true\nCOPY --from=a /x /y\nCMD ["sh", "-c", "x"]\n',
      '# escape=`\nFROM a\nRUN <<EOF\necho hi\nEOF\nENV A=b C="d e"\nONBUILD RUN x\n',
    ].map((text) => Buffer.from(text)),
  run(input) {
    const began = processorTime();
    refusing(() => parseDockerfile(input.toString(), 'Dockerfile'));
    refusing(() => parseRunMount(input.toString().slice(0, 200), (word) => word));
    holds(processorTime() - began < 1000, `${input.length} bytes took more than a second`);
  },
};

export const dockerfileTargets: readonly Target[] = [dockerfile];
