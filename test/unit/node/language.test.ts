import { expect, test } from 'vitest';
import { ofArrays, ofLists, ofObject, withCause } from '../../../src/node/language.ts';
import { Random } from './random.ts';

const random = new Random(3);
const places = [0, 1, 2, -1, -2, -5, 4, 9, -9, 1.7, -0.5, Number.NaN, Number.POSITIVE_INFINITY];

function outcome(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return (error as Error).name;
  }
}

test('lists, text and bytes answer as by the language itself', () => {
  for (let round = 0; round < 500; round++) {
    const list = Array.from(random.bytes(random.below(6), 5));
    const text = random.text(random.below(5), 'ab\u{1f600}');
    const bytes = Uint8Array.from(list);
    const place = random.of(places);
    const wanted = random.below(5);
    const is = (value: unknown): boolean => value === wanted;
    const down = (a: unknown, b: unknown): number => Number(b) - Number(a);
    const what = [list, text, place, wanted];
    expect([what, ofLists.at.call(list, place)]).toEqual([what, list.at(place)]);
    expect([what, ofLists.at.call(text, place)]).toEqual([what, text.at(place)]);
    expect([what, ofLists.at.call(bytes, place)]).toEqual([what, bytes.at(place)]);
    expect([what, ofArrays.findLast.call(list, is)]).toEqual([what, list.findLast(is)]);
    expect([what, ofArrays.findLastIndex.call(list, is)]).toEqual([what, list.findLastIndex(is)]);
    expect([what, ofArrays.toSorted.call(list)]).toEqual([what, list.toSorted()]);
    expect([what, ofArrays.toSorted.call(list, down)]).toEqual([what, list.toSorted(down)]);
    expect([what, ofArrays.toReversed.call(list)]).toEqual([what, list.toReversed()]);
    expect([what, ofArrays.toSpliced.call(list, place, 1, 7)]).toEqual([what, list.toSpliced(place, 1, 7)]);
    const own = outcome(() => ofArrays.with.call(list, place, 7));
    expect([what, own]).toEqual([what, outcome(() => list.with(place, 7))]);
  }
  expect(ofObject.hasOwn({ a: 1 }, 'a')).toBe(true);
  expect(ofObject.hasOwn({}, 'toString')).toBe(false);
  expect(ofObject.hasOwn(Object.create(null, { a: {} }), 'a')).toBe(true);
});

test('errors get a cause where the engine gives them none', () => {
  // An Error of its own, so that the test leaves that of the process alone; it knows no options.
  class Plain {
    readonly message: string;
    constructor(message = '') {
      this.message = message;
    }
  }
  const Own = withCause(Plain as never);
  class Derived extends Own {}
  const error = new Derived('what', { cause: 5 });
  expect(error).toBeInstanceOf(Derived);
  expect(error).toBeInstanceOf(Plain);
  expect([error.message, error.cause, Object.keys(error)]).toEqual(['what', 5, ['message']]);
  expect('cause' in new Own('what', {})).toBe(false);
  expect(new Own('what', { cause: undefined })).toHaveProperty('cause', undefined);
  expect([Own('called').message, Own.name, error.constructor]).toEqual(['called', 'Error', Derived]);
});
