/**
 * How the program is divided into the files of the executable. Every import() begins a part that is read on demand, and what
 * several parts share has to be in files of its own: bundlers make one for each set of parts that share it, some 250 here, of
 * which `run` reads 90. A file costs the engine time whatever is in it, and so does code that is read and not needed: files are
 * put together as long as what is saved on the one side is more than what is spent on the other.
 */

/** What a file costs in microseconds: for itself, and for each byte of its source. Measured: docs/decisions/0083. */
const perFile = 70;
const perByte = 0.008;

/**
 * @typedef {object} Chunk A file as a bundler would make it.
 * @property {number} size bytes of its source
 * @property {number[]} imports indices of the chunks that it imports statically
 */

/**
 * Which chunks to put together. A chunk is never put together with another that reaches it through a third: files that import
 * each other in a circle could read what is not there yet.
 * @param {Chunk[]} chunks
 * @param {{ chunk: number, weight: number }[]} roots where a command begins, and how much its start matters
 * @returns {number[]} for each chunk the index of the one that stands for its group
 */
export function planChunks(chunks, roots) {
  const group = chunks.map((_, index) => index);
  /** The groups, by the index that stands for them: `loaders` has the weight of each root that loads the group, or 0. */
  const nodes = new Map(
    chunks.map(({ size, imports }, index) => [
      index,
      { size, imports: new Set(imports), loaders: new Float64Array(roots.length), reach: new Set() },
    ]),
  );
  for (;;) {
    look(nodes, roots, group);
    const best = bestPair(nodes);
    if (best === undefined) return group;
    merge(nodes, group, best);
  }
}

/** What is reached from each group, and which roots load it. */
function look(nodes, roots, group) {
  const reached = new Set();
  const visit = (index) => {
    const node = nodes.get(index);
    if (reached.has(index)) return node.reach;
    reached.add(index);
    node.reach = new Set();
    for (const next of node.imports) {
      node.reach.add(next);
      for (const further of visit(next)) node.reach.add(further);
    }
    return node.reach;
  };
  for (const [index, node] of nodes) {
    visit(index);
    node.loaders.fill(0);
  }
  for (const [place, { chunk, weight }] of roots.entries()) {
    for (const index of [group[chunk], ...nodes.get(group[chunk]).reach]) nodes.get(index).loaders[place] = weight;
  }
}

/** The two groups that cost least as one, if that is less than they cost as two. */
function bestPair(nodes) {
  const pairs = [];
  const all = [...nodes.keys()];
  for (const [place, a] of all.entries()) {
    for (const b of all.slice(place + 1)) {
      const gain = gainOf(nodes.get(a), nodes.get(b));
      if (gain > 0) pairs.push({ a, b, gain });
    }
  }
  pairs.sort((one, other) => other.gain - one.gain);
  let best;
  for (const pair of pairs) {
    // What else has to be read can only make it less.
    if (best !== undefined && best.gain >= pair.gain) break;
    if (isCircle(nodes, pair.a, pair.b) || isCircle(nodes, pair.b, pair.a)) continue;
    const gain = pair.gain - furtherCost(nodes, pair);
    if (gain > 0 && (best === undefined || gain > best.gain)) best = { ...pair, gain };
  }
  return best;
}

function gainOf(a, b) {
  let [ofA, ofB, ofBoth] = [0, 0, 0];
  for (let i = 0; i < a.loaders.length; i++) {
    ofA += a.loaders[i];
    ofB += b.loaders[i];
    ofBoth += Math.max(a.loaders[i], b.loaders[i]);
  }
  const cost = (weight, size) => weight * (perFile + perByte * size);
  return cost(ofA, a.size) + cost(ofB, b.size) - cost(ofBoth, a.size + b.size);
}

/** Whether one group imports the other by way of a third. */
function isCircle(nodes, from, to) {
  return [...nodes.get(from).imports].some((next) => next !== to && nodes.get(next).reach.has(to));
}

/** Who loads the one group will also load what the other imports. */
function furtherCost(nodes, { a, b }) {
  const [one, other] = [nodes.get(a), nodes.get(b)];
  let cost = 0;
  for (const index of new Set([...one.reach, ...other.reach])) {
    if (index === a || index === b) continue;
    const { size, loaders } = nodes.get(index);
    let weight = 0;
    for (let i = 0; i < loaders.length; i++) {
      weight += Math.max(one.loaders[i], other.loaders[i], loaders[i]) - loaders[i];
    }
    cost += weight * (perFile + perByte * size);
  }
  return cost;
}

function merge(nodes, group, { a, b }) {
  const [one, other] = [nodes.get(a), nodes.get(b)];
  one.size += other.size;
  for (const next of other.imports) one.imports.add(next);
  nodes.delete(b);
  for (const { imports } of nodes.values()) if (imports.delete(b)) imports.add(a);
  one.imports.delete(a);
  one.imports.delete(b);
  for (const [index, of] of group.entries()) if (of === b) group[index] = a;
}
