import { expect, test } from 'vitest';
import { planChunks } from '../../../scripts/chunks.mjs';

/** The groups of a plan as lists of chunks. */
function groupsOf(plan: readonly number[]): number[][] {
  return [...new Set(plan)].map((group) => plan.flatMap((of, index) => (of === group ? [index] : [])));
}

test('what the same commands read becomes one file', () => {
  // 0 imports 1, 1 imports 2: whoever starts reads all three.
  const chunks = [
    { size: 1000, imports: [1] },
    { size: 50_000, imports: [2] },
    { size: 100, imports: [] },
  ];
  expect(groupsOf(planChunks(chunks, [{ chunk: 0, weight: 1 }]))).toEqual([[0, 1, 2]]);
});

test('a command does not get to read much that only others need', () => {
  // 0 and 1 are commands with a large part each, and share 4.
  const chunks = [
    { size: 500, imports: [2, 4] },
    { size: 500, imports: [3, 4] },
    { size: 100_000, imports: [] },
    { size: 100_000, imports: [] },
    { size: 80_000, imports: [] },
  ];
  const plan = planChunks(chunks, [
    { chunk: 0, weight: 1 },
    { chunk: 1, weight: 1 },
  ]);
  expect(groupsOf(plan)).toEqual([[0, 2], [1, 3], [4]]);
});

test('a little that is not needed is read with the rest, where the command that does so matters less', () => {
  const chunks = [
    { size: 500, imports: [2] },
    { size: 500, imports: [] },
    { size: 1000, imports: [] },
  ];
  const roots = [
    { chunk: 0, weight: 5 },
    { chunk: 1, weight: 0.1 },
  ];
  expect(groupsOf(planChunks(chunks, roots))).toContainEqual([0, 2]);
});
