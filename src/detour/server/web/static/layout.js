// Where the boxes of a picture stand: in layers, callers before those that they call. Pure, and always the same for
// the same mesh. The method is that of Sugiyama, Tagawa and Toda (1981): break cycles, give layers, order the layers
// by barycentres, then bring boxes near to what they are connected with.
//
// "Along" is the direction of calls, "across" the other; a picture that goes right has x along, one that goes down y.

const SWEEPS = 8;

/**
 * @param {{id: string, along: number, across: number}[]} boxes with their sizes; the first ones come first
 * @param {[string, string][]} pairs who calls whom
 * @param {{along: number, across: number, passage: number}} gaps between layers, between boxes of a layer, and
 *   between two calls that pass it
 * @returns {{places: Map<string, {along: number, across: number}>, ways: Map<string, {along, across, to}[]>,
 *   along: number, across: number, layers: string[][], isBack: (from: string, to: string) => boolean}}
 *   `ways` says by `from→to` where a call passes the layers between, from the first to the last
 */
export function layout(boxes, pairs, gaps) {
  const graph = acyclic(boxes, pairs);
  const layers = layered(boxes, graph.edges);
  drawNear(layers, graph.edges);
  const chains = lengthened(layers, graph.edges);
  order(layers);
  across(layers, gaps);
  const extent = along(layers, gaps.along);
  return {
    places: new Map(
      layers
        .flat()
        .filter((one) => !one.isPassage)
        .map((one) => [one.id, one.place]),
    ),
    ways: new Map([...chains].map(([key, passages]) => [key, passages.map((one) => one.place)])),
    layers: layers.map((layer) => layer.filter((one) => !one.isPassage).map((one) => one.id)),
    isBack: (from, to) => graph.back.has(`${from}→${to}`),
    ...extent,
  };
}

/** Turn round what leads back, so that no cycle is left. */
function acyclic(boxes, pairs) {
  const next = new Map(boxes.map((box) => [box.id, []]));
  const called = new Set();
  for (const [from, to] of pairs) {
    if (from === to || !next.has(from) || !next.has(to)) continue;
    next.get(from).push(to);
    called.add(to);
  }
  const back = new Set();
  const starts = [...boxes.filter((box) => !called.has(box.id)), ...boxes].map((box) => box.id);
  for (const [from, to] of backward(starts, next)) back.add(`${from}→${to}`);
  const edges = new Map();
  for (const [from, targets] of next) {
    for (const to of targets) {
      const [first, second] = back.has(`${from}→${to}`) ? [to, from] : [from, to];
      edges.set(`${first}→${second}`, [first, second]);
    }
  }
  return { back, edges };
}

/** Yield the pairs that lead to where a walk in depth has come from. */
function* backward(starts, next) {
  const state = new Map();
  for (const start of starts) {
    if (state.has(start)) continue;
    const path = [[start, 0]];
    state.set(start, "open");
    while (path.length) {
      const step = path.at(-1);
      const to = next.get(step[0])[step[1]++];
      if (to === undefined) state.set(path.pop()[0], "done");
      else if (state.get(to) === "open") yield [step[0], to];
      else if (!state.has(to)) {
        state.set(to, "open");
        path.push([to, 0]);
      }
    }
  }
}

/** Give each box the layer behind all that call it. */
function layered(boxes, edges) {
  const cells = new Map(boxes.map((box) => [box.id, { ...box, layer: 0, before: [], after: [] }]));
  const waiting = new Map(boxes.map((box) => [box.id, 0]));
  const next = new Map(boxes.map((box) => [box.id, []]));
  for (const [from, to] of edges.values()) {
    next.get(from).push(to);
    waiting.set(to, waiting.get(to) + 1);
  }
  const ready = boxes.filter((box) => !waiting.get(box.id)).map((box) => box.id);
  const layers = [];
  for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
    const cell = cells.get(id);
    layers[cell.layer] ??= [];
    layers[cell.layer].push(cell);
    for (const to of next.get(id)) {
      cells.get(to).layer = Math.max(cells.get(to).layer, cell.layer + 1);
      waiting.set(to, waiting.get(to) - 1);
      if (!waiting.get(to)) ready.push(to);
    }
  }
  return layers;
}

/** Bring what nobody calls, but for the first box, to just before what it calls: its calls need not go far. */
function drawNear(layers, edges) {
  const cells = new Map(layers.flat().map((cell) => [cell.id, cell]));
  const nearest = new Map();
  for (const [from, to] of edges.values()) nearest.set(from, Math.min(nearest.get(from) ?? Infinity, cells.get(to).layer));
  for (const cell of layers[0]?.slice(1) ?? []) {
    const layer = (nearest.get(cell.id) ?? 1) - 1;
    if (layer === 0) continue;
    layers[0].splice(layers[0].indexOf(cell), 1);
    cell.layer = layer;
    layers[layer].push(cell);
  }
}

/** Connect neighbours; where a call skips layers, it gets a passage through each. */
function lengthened(layers, edges) {
  const cells = new Map(layers.flat().map((cell) => [cell.id, cell]));
  const chains = new Map();
  for (const [key, [from, to]] of edges) {
    const passages = [];
    let last = cells.get(from);
    for (let layer = last.layer + 1; layer < cells.get(to).layer; layer += 1) {
      const passage = { id: `${key}#${layer}`, isPassage: true, layer, along: 0, across: 13, before: [], after: [] };
      layers[layer].push(passage);
      passages.push(passage);
      connect(last, passage);
      last = passage;
    }
    connect(last, cells.get(to));
    chains.set(key, passages);
  }
  return chains;
}

function connect(before, after) {
  before.after.push(after);
  after.before.push(before);
}

/** Order each layer by where its neighbours are, there and back. */
function order(layers) {
  const number = (layer) => {
    for (const [index, cell] of layer.entries()) cell.index = (index + 0.5) / layer.length;
  };
  layers.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForward = sweep % 2 === 0;
    for (const layer of isForward ? layers : [...layers].reverse()) {
      for (const cell of layer) cell.weight = mean(isForward ? cell.before : cell.after, "index") ?? cell.index;
      layer.sort((one, other) => one.weight - other.weight);
      number(layer);
    }
  }
}

function mean(cells, key) {
  return cells.length ? cells.reduce((total, cell) => total + cell[key], 0) / cells.length : null;
}

/** Place each layer's cells across: near to their neighbours, in order, and apart. */
function across(layers, gaps) {
  const gap = (one, other) => (one?.isPassage && other.isPassage ? gaps.passage : gaps.across);
  for (const layer of layers) spread(layer, (cell) => cell.index * 400, gap);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForward = sweep % 2 === 0;
    for (const layer of isForward ? layers : [...layers].reverse()) {
      spread(layer, (cell) => mean(isForward ? cell.before : cell.after, "middle") ?? cell.middle, gap);
    }
  }
}

/** Give each cell the place that it wishes, as far as its neighbours in the layer leave it. */
function spread(layer, wish, gap) {
  const wished = layer.map(wish);
  const forward = pushed(layer, wished, gap, 1);
  const backward = pushed(layer, wished, gap, -1);
  // Both keep the cells apart, and so does what lies between them.
  for (const [index, cell] of layer.entries()) cell.middle = (forward[index] + backward[index]) / 2;
}

function pushed(layer, wished, gap, direction) {
  const found = [];
  let free = -Infinity;
  let last = null;
  for (let step = 0; step < layer.length; step += 1) {
    const index = direction > 0 ? step : layer.length - 1 - step;
    const half = layer[index].across / 2;
    const at = Math.max(direction * wished[index], free + half + (last ? gap(last, layer[index]) : 0));
    found[index] = direction * at;
    free = at + half;
    last = layer[index];
  }
  return found;
}

/** Place the layers one behind the other; return the size of it all. */
function along(layers, gap) {
  const cells = layers.flat();
  if (!cells.length) return { along: 0, across: 0 };
  const first = Math.min(...cells.map((cell) => cell.middle - cell.across / 2));
  let start = 0;
  for (const layer of layers) {
    const depth = Math.max(...layer.map((cell) => cell.along));
    for (const cell of layer) {
      cell.place = { along: start, across: cell.middle - cell.across / 2 - first, to: start + depth };
    }
    start += depth + gap;
  }
  const last = Math.max(...cells.map((cell) => cell.middle + cell.across / 2));
  return { along: start - gap, across: last - first };
}
