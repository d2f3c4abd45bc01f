import { expect, test } from 'vitest';
import { checkInstructions } from '../../../src/build/check.ts';
import { parseDockerfile } from '../../../src/build/dockerfile/parser.ts';

const check = (text: string): void => checkInstructions(parseDockerfile(text, 'Dockerfile'));

test.each([
  ['COPY --frm=x a b', 'unknown flag: --frm'],
  ['COPY a', 'COPY requires at least two arguments'],
  ['COPY --chmod=what a b', 'what'],
  ['RUN --mount=type=nope true', 'unsupported mount type "nope"'],
  ['RUN --network=there echo $x', 'unsupported network mode: "there"'],
  ['ENV a', 'ENV must have two arguments'],
  ['ENV --x a=b', 'unknown flag: --x'],
  ['ARG 1=2', 'ARG names cannot be'],
  ['EXPOSE many', 'Invalid containerPort: many'],
  ['HEALTHCHECK --interval=x CMD a', 'time: invalid duration "x"'],
  ['STOPSIGNAL NONE', 'Invalid signal: NONE'],
  ['SHELL sh', 'SHELL requires the arguments to be in JSON form'],
  ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
])('%s is wrong, wherever it stands', (line, message) => {
  expect(() => check(`FROM a\nRUN sleep 1000\n${line}\nFROM b\n`)).toThrow(message);
  expect(() => check(`FROM a\nRUN sleep 1000\n${line}\nFROM b\n`)).toThrow(/Dockerfile:3\n/);
});

// `%` stands for `$`.
test.each([
  // What the variable is, nobody knows yet.
  'EXPOSE $PORT',
  'STOPSIGNAL %{SIGNAL}',
  'COPY --chown=$user %{must:?be there} /x',
  'COPY <<E /x\n%{must:?be there}\nE',
  'RUN --mount=type=%{kind} true',
  // A stage that is not needed may have it.
  'RUN --mount=type=ssh true',
  'RUN --security=insecure true',
  'RUN --network=host true',
  'ADD git@example.com:a/b.git /x',
  // And what is right.
  'RUN --mount=type=cache,target=/x --mount=type=bind,from=b,target=/y echo %{x:?y}',
  'ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://a/b /c',
  'HEALTHCHECK --interval=1s --retries=2 CMD ["a"]',
  'LABEL a=b "c d"="e f"',
  'CMD',
  'ENTRYPOINT []',
  'ONBUILD COPY a /b',
  'MAINTAINER me',
  'VOLUME ["/a", "/b"]',
])('%j is nothing to complain about before it is reached', (line) => {
  expect(() => check(`FROM a\n${line.replaceAll('%', '$')}\n`)).not.toThrow();
});
