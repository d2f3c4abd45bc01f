/** RUN --mount and the words of COPY. */
import { describe, expect, test } from 'vitest';
import { parseCopy } from '../../../src/build/copy.ts';
import { parseDockerfile } from '../../../src/build/dockerfile/parser.ts';
import { parseRunMount } from '../../../src/build/dockerfile/run-mount.ts';

const mount = (text: string) => parseRunMount(text, (word) => word.replace('$X', 'value'));

describe('--mount', () => {
  test.each([
    ['type=bind,target=/a', { type: 'bind', target: '/a', from: undefined, source: '', readOnly: true }],
    ['target=/a,from=b,src=/c,rw', { type: 'bind', target: '/a', from: 'b', source: '/c', readOnly: false }],
    [
      'type=cache,dst=/c,id=$X,sharing=locked,mode=0700,uid=5',
      { type: 'cache', target: '/c', id: 'value', sharing: 'locked', mode: 0o700, uid: 5, gid: 0 },
    ],
    ['type=cache,target=/c', { id: '/c', sharing: 'shared', readOnly: false, mode: 0o755 }],
    ['type=tmpfs,target=/t,size=64m', { type: 'tmpfs', target: '/t', size: 67_108_864 }],
    [
      'type=secret,id=s',
      { type: 'secret', id: 's', target: '/run/secrets/s', env: undefined, required: false, mode: 0o400 },
    ],
    ['type=secret,id=s,env=S', { target: undefined, env: 'S' }],
    ['type=secret,target=/x/key,required', { id: 'key', required: true }],
    ['type=bind,"target=/a,b"', { target: '/a,b' }],
  ])('%s', (text, expected) => expect(mount(text)).toMatchObject(expected));

  test.each([
    ['type=ssh', 'tsrun build has no --mount=type=ssh'],
    ['type=nope', 'unsupported mount type "nope"'],
    ['type=bind', 'no target'],
    ['type=bind,target=/a,size=1', "unexpected key 'size'"],
    ['type=cache,target=/a,sharing=x', 'unsupported sharing value'],
    ['type=cache,target=/a,mode=9', 'invalid value 9 for mode'],
    ['type=secret', 'a secret needs an id'],
  ])('%s is wrong', (text, message) => expect(() => mount(text)).toThrow(message));
});

describe('COPY and ADD', () => {
  const copy = (line: string, variables: Record<string, string> = {}) => {
    const { instructions, escapeToken } = parseDockerfile(`FROM a\n${line}`, 'Dockerfile');
    const [, instruction] = instructions;
    if (instruction === undefined) throw new Error('no instruction');
    return parseCopy(instruction, escapeToken, new Map(Object.entries(variables)));
  };

  test.each([
    ['COPY a b', { sources: ['a'], destination: 'b', from: undefined, unpack: { files: false } }],
    ['COPY ["a b", "c/"]', { sources: ['a b'], destination: 'c/' }],
    [
      'COPY --from=x --chown=1:2 --chmod=755 --link a b /c/',
      { from: 'x', chown: '1:2', mode: { text: '755' }, sources: ['a', 'b'] },
    ],
    ['COPY $A /$B/', { sources: ['1'], destination: '/2/' }],
    ['COPY a\\ b /x', { sources: ['a b'] }],
    ['COPY --chmod=u=rwX,go=rX a /x', { mode: { text: 'u=rwX,go=rX' } }],
    ['ADD a.tar /x', { unpack: { files: true, remote: false } }],
    ['ADD --unpack=false a.tar /x', { unpack: { files: false, remote: false } }],
    ['ADD --unpack https://h/$A /x', { sources: [{ url: 'https://h/1', name: '1' }], unpack: { remote: true } }],
  ])('%s', (line, expected) => expect(copy(line, { A: '1', B: '2' })).toMatchObject(expected));

  test('here-documents as files', () => {
    const { texts, sources } = copy('COPY <<one <<"two" plain /d/\n$A\\$A\none\n$A\ntwo', { A: 'x' });
    expect(texts.map(({ name, bytes }) => [name, bytes.toString()])).toEqual([
      ['one', 'x$A\n'],
      ['two', '$A\n'],
    ]);
    expect(sources).toEqual(['plain']);
  });

  test.each([
    ['COPY a', 'COPY requires at least two arguments'],
    ['COPY a b c', 'the destination must be a directory and end with a /'],
    ['COPY --chmod=u=q a b', 'invalid chmod parameter'],
    ['COPY https://x/y /z', "source can't be a URL for COPY: https://x/y"],
    ['COPY --nope a b', 'unknown flag: --nope'],
    ['ADD git@x:y.git /z', 'has no ADD of a git repository'],
    [`ADD --checksum=sha256:${'0'.repeat(64)} https://x/y a /z/`, "checksum can't be specified for multiple sources"],
    ['ADD --from=a b c', 'unknown flag: --from'],
  ])('%s is wrong', (line, message) => expect(() => copy(line)).toThrow(message));
});
