// The positions of the boxes in a graph: in layers, callers before the services that they call. Pure and deterministic.
// The algorithm is that of Sugiyama, Tagawa and Toda (1981): break cycles, assign layers, order the layers by
// barycentres, then move boxes close to their neighbours.
//
// "Along" is the direction of calls, "across" the other one: a graph to the right has x along, one downwards y.

const SWEEPS = 8;

/**
 * @param {{id: string, along: number, across: number}[]} boxes with their sizes, in order of preference
 * @param {[string, string][]} pairs the calls, as caller and called service
 * @param {{along: number, across: number, passage: number}} gaps between layers, between boxes of a layer, and
 *   between two calls that pass through it
 * @returns {{places: Map<string, {along: number, across: number}>, ways: Map<string, {along, across, to}[]>,
 *   along: number, across: number, layers: string[][], isBack: (from: string, to: string) => boolean}}
 *   `ways` contains, by `from→to`, the points where a call passes through the layers in between, in order
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

/** Reverse edges that lead back, so that the graph has no cycles. */
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

/** Yield the back edges of a depth-first search. */
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

/** Assign each box to the layer after all its callers. */
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

/** Move boxes without callers, except the first box, to the layer before the services that they call. */
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

/** Connect neighbours; a call that skips layers gets a passage through each. */
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

/** Order each layer by the positions of its neighbours, in alternating sweeps. */
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

/** Position each layer's cells across: close to their neighbours, in order, and with gaps. */
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

/** Move each cell as close to its preferred position as the gaps in its layer allow. */
function spread(layer, prefer, gap) {
  const preferred = layer.map(prefer);
  const forward = pushed(layer, preferred, gap, 1);
  const backward = pushed(layer, preferred, gap, -1);
  // Both keep the gaps, and so does their mean.
  for (const [index, cell] of layer.entries()) cell.middle = (forward[index] + backward[index]) / 2;
}

function pushed(layer, preferred, gap, direction) {
  const found = [];
  let free = -Infinity;
  let last = null;
  for (let step = 0; step < layer.length; step += 1) {
    const index = direction > 0 ? step : layer.length - 1 - step;
    const half = layer[index].across / 2;
    const at = Math.max(direction * preferred[index], free + half + (last ? gap(last, layer[index]) : 0));
    found[index] = direction * at;
    free = at + half;
    last = layer[index];
  }
  return found;
}

/** Position the layers one after the other; return the total size. */
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
