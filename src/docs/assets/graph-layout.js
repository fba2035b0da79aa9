// Where the boxes of a part of the graph stand. Rank and order are decided when the site is made; here the part that
// is seen is packed again: bands keep their order, empty ranks go, and long edges get a lane between the boxes.
(() => {
  "use strict";
  const kiln = window.kiln;
  const GAP_X = 64;
  const GAP_Y = 18;
  const LANE = 10;

  /** @typedef {{ node: number, w: number, h: number, y: number, key: number, column: number }} Item */

  /** Puts every node in a column: right of what it reads, behind all columns of earlier layers.
   * @param {KilnModel} model @param {number[]} nodes */
  function columnsOf(model, nodes) {
    const all = model.data.nodes;
    const sorted = [...nodes].sort((a, b) => all[a].layer - all[b].layer || all[a].rank - all[b].rank || a - b);
    const inside = new Set(nodes);
    /** @type {Map<number, number>} */
    const column = new Map();
    /** @type {{ layer: number, first: number, last: number }[]} */
    const bands = [];
    for (const node of sorted) {
      const layer = all[node].layer;
      let band = bands.at(-1);
      if (!band || band.layer !== layer) {
        const first = band ? band.last + 1 : 0;
        band = { layer, first, last: first };
        bands.push(band);
      }
      let at = band.first;
      for (const parent of model.parents[node]) {
        const there = inside.has(parent) && parent !== node ? column.get(parent) : undefined;
        if (there !== undefined) at = Math.max(at, there + 1);
      }
      column.set(node, at);
      band.last = Math.max(band.last, at);
    }
    // What reads nothing in its band moves right, next to its nearest reader there.
    for (const node of sorted.reverse()) {
      const at = column.get(node) ?? 0;
      const layer = all[node].layer;
      let nearest = Infinity;
      for (const child of model.children[node]) {
        if (inside.has(child) && all[child].layer === layer) nearest = Math.min(nearest, column.get(child) ?? Infinity);
      }
      if (nearest !== Infinity && nearest - 1 > at) column.set(node, nearest - 1);
    }
    return wrapped(model, column, bands);
  }

  /** Hundreds of nodes that read nothing would make one endless column: it is folded into several.
   * @param {KilnModel} model @param {Map<number, number>} column
   * @param {{ layer: number, first: number, last: number }[]} bands */
  function wrapped(model, column, bands) {
    const most = Math.max(40, Math.ceil(1.5 * Math.sqrt(column.size)));
    const last = bands.length ? bands[bands.length - 1].last : -1;
    /** @type {number[][]} */
    const members = Array.from({ length: last + 1 }, () => []);
    for (const [node, at] of column) members[at].push(node);
    if (members.every((some) => some.length <= most)) return { column, bands };
    const all = model.data.nodes;
    let next = 0;
    const first = members.map((some) => {
      const parts = Math.max(1, Math.ceil(some.length / most));
      some.sort((a, b) => all[a].y - all[b].y || a - b);
      // Neighbours in the order stay at about the same height.
      some.forEach((node, at) => column.set(node, next + (at % parts)));
      next += parts;
      return next - parts;
    });
    first.push(next);
    return { column, bands: bands.map((band) => ({ layer: band.layer, first: first[band.first], last: first[band.last + 1] - 1 })) };
  }

  /** How many of the lines between two columns cross.
   * @param {[number, number][]} pairs places in the left and in the right column */
  function crossings(pairs) {
    pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const size = pairs.reduce((most, pair) => Math.max(most, pair[1]), 0) + 1;
    const tree = new Int32Array(size + 1);
    let count = 0;
    pairs.forEach(([, right], seen) => {
      let below = 0;
      for (let at = right + 1; at > 0; at -= at & -at) below += tree[at];
      count += seen - below;
      for (let at = right + 1; at <= size; at += at & -at) tree[at]++;
    });
    return count;
  }

  /** Heights that are as near as can be to what is wanted while nothing overlaps (pool adjacent violators).
   * @param {Item[]} items in their order @param {number[]} wanted centres */
  function settle(items, wanted) {
    /** @type {{ sum: number, n: number }[]} */
    const pools = [];
    const offsets = [];
    let offset = 0;
    for (let at = 0; at < items.length; at++) {
      if (at > 0) {
        const lanes = items[at].node < 0 && items[at - 1].node < 0;
        offset += (items[at - 1].h + items[at].h) / 2 + (lanes ? 2 : GAP_Y);
      }
      offsets.push(offset);
      let pool = { sum: wanted[at] - offset, n: 1 };
      for (let last = pools.at(-1); last && last.sum / last.n > pool.sum / pool.n; last = pools.at(-1)) {
        pool = { sum: pool.sum + last.sum, n: pool.n + last.n };
        pools.pop();
      }
      pools.push(pool);
    }
    let at = 0;
    for (const pool of pools) {
      for (let n = 0; n < pool.n; n++, at++) items[at].y = pool.sum / pool.n + offsets[at];
    }
  }

  /** @param {KilnModel} model @param {number[]} nodes @param {(node: number) => number} height @returns {KilnPlaced} */
  function part(model, nodes, height) {
    const all = model.data.nodes;
    const width = model.data.box[0];
    const { column, bands } = columnsOf(model, nodes);
    const count = bands.length ? bands[bands.length - 1].last + 1 : 0;
    /** @type {Item[][]} */
    const columns = Array.from({ length: count }, () => []);
    /** @type {Map<number, Item>} */
    const items = new Map();
    for (const node of nodes) {
      const at = column.get(node) ?? 0;
      const item = { node, w: width, h: height(node), y: 0, key: all[node].y, column: at };
      items.set(node, item);
      columns[at].push(item);
    }
    // An edge over several columns is a chain of lanes. Lanes into the same box from the same side are not merged:
    // each edge can be followed by the eye. Very large parts go without.
    /** @type {{ from: Item, to: Item, chain: Item[] }[]} */
    const edges = [];
    /** @type {[Item, Item][]} */
    const steps = [];
    let lanes = nodes.length > 600 ? -1 : 4000;
    for (const to of nodes) {
      for (const from of model.parents[to]) {
        const a = items.get(from);
        const b = items.get(to);
        if (!a || !b || a === b) continue;
        const chain = [a];
        const far = b.column - a.column;
        if (far > 1 && lanes >= far) {
          for (let at = a.column + 1; at < b.column; at++, lanes--) {
            const key = a.key + ((b.key - a.key) * (at - a.column)) / far;
            const lane = { node: -1, w: width, h: LANE, y: 0, key, column: at };
            columns[at].push(lane);
            chain.push(lane);
          }
        }
        chain.push(b);
        edges.push({ from: a, to: b, chain });
        if (chain.length > 2 || far === 1) {
          for (let at = 1; at < chain.length; at++) steps.push([chain[at - 1], chain[at]]);
        }
      }
    }
    for (const items of columns) items.sort((a, b) => a.key - b.key || a.node - b.node);
    order(columns, steps);
    place(columns, steps);

    const at = new Map();
    let top = Infinity;
    let bottom = 0;
    for (const items of columns) {
      for (const item of items) {
        top = Math.min(top, item.y - item.h / 2);
        bottom = Math.max(bottom, item.y + item.h / 2);
      }
    }
    const margin = 24;
    const x = (/** @type {Item} */ item) => margin + item.column * (width + GAP_X);
    const y = (/** @type {Item} */ item) => item.y - top + margin;
    for (const [node, item] of items) at.set(node, { x: x(item), y: y(item) - item.h / 2 });
    const routes = new Map();
    for (const { from, to, chain } of edges) {
      const points = [];
      for (const lane of chain.slice(1, -1)) points.push(x(lane), y(lane), x(lane) + width, y(lane));
      routes.set(`${from.node}:${to.node}`, points);
    }
    return {
      w: margin * 2 + count * width + Math.max(0, count - 1) * GAP_X,
      h: count ? bottom - top + margin * 2 : 0,
      at,
      bands: bands.map((band) => ({
        layer: band.layer,
        x: margin + band.first * (width + GAP_X) - GAP_X / 2,
        w: (band.last - band.first + 1) * (width + GAP_X),
      })),
      routes,
    };
  }

  /** Sweeps by the mean place of neighbours; an order is kept only where it has fewer crossings than the one given.
   * @param {Item[][]} columns @param {[Item, Item][]} steps */
  function order(columns, steps) {
    if (steps.length > 6000) return;
    /** @type {Map<Item, Item[]>} */
    const left = new Map();
    /** @type {Map<Item, Item[]>} */
    const right = new Map();
    for (const [a, b] of steps) {
      right.set(a, [...(right.get(a) ?? []), b]);
      left.set(b, [...(left.get(b) ?? []), a]);
    }
    /** @type {Map<Item, number>} */
    const place = new Map();
    const count = () => {
      for (const items of columns) items.forEach((item, at) => place.set(item, at));
      /** @type {[number, number][][]} */
      const pairs = columns.map(() => []);
      for (const [a, b] of steps) pairs[a.column].push([place.get(a) ?? 0, place.get(b) ?? 0]);
      return pairs.reduce((sum, some) => sum + crossings(some), 0);
    };
    let best = count();
    let kept = columns.map((items) => [...items]);
    for (let sweep = 0; sweep < 8 && best > 0; sweep++) {
      const forward = sweep % 2 === 0;
      const near = forward ? left : right;
      for (let step = 1; step < columns.length; step++) {
        const items = columns[forward ? step : columns.length - 1 - step];
        const mean = new Map(
          items.map((item) => {
            const others = near.get(item);
            const own = place.get(item) ?? 0;
            return [item, others ? others.reduce((sum, other) => sum + (place.get(other) ?? 0), 0) / others.length : own];
          }),
        );
        items.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0));
        items.forEach((item, at) => place.set(item, at));
      }
      const now = count();
      if (now < best) {
        best = now;
        kept = columns.map((items) => [...items]);
      }
    }
    kept.forEach((items, at) => (columns[at] = items));
  }

  /** @param {Item[][]} columns @param {[Item, Item][]} steps */
  function place(columns, steps) {
    /** @type {Map<Item, { item: Item, pull: number, side: number }[]>} */
    const near = new Map();
    for (const [a, b] of steps) {
      const pull = a.node < 0 && b.node < 0 ? 8 : a.node < 0 || b.node < 0 ? 2 : 1;
      near.set(a, [...(near.get(a) ?? []), { item: b, pull, side: 1 }]);
      near.set(b, [...(near.get(b) ?? []), { item: a, pull, side: -1 }]);
    }
    for (const items of columns) settle(items, items.map(() => 0));
    for (let sweep = 0; sweep < 12; sweep++) {
      const side = sweep >= 8 ? 0 : sweep % 2 === 0 ? -1 : 1;
      for (let step = 0; step < columns.length; step++) {
        const items = columns[side === 1 ? columns.length - 1 - step : step];
        const wanted = items.map((item) => {
          const others = (near.get(item) ?? []).filter((other) => side === 0 || other.side === side);
          const weight = others.reduce((sum, other) => sum + other.pull, 0);
          return weight ? others.reduce((sum, other) => sum + other.item.y * other.pull, 0) / weight : item.y;
        });
        settle(items, wanted);
      }
    }
  }

  /** An SVG path through points: level points are joined straight, others by a curve that leaves and arrives level.
   * @param {number[]} points */
  function path(points) {
    const r = (/** @type {number} */ n) => Math.round(n * 10) / 10;
    let text = `M${r(points[0])} ${r(points[1])}`;
    for (let at = 2; at < points.length; at += 2) {
      const [x0, y0, x1, y1] = points.slice(at - 2, at + 2);
      if (y0 === y1 && x1 >= x0) text += `H${r(x1)}`;
      else {
        const bend = x1 > x0 ? (x1 - x0) / 2 : Math.max(60, (x0 - x1) / 3);
        text += `C${r(x0 + bend)} ${r(y0)} ${r(x1 - bend)} ${r(y1)} ${r(x1)} ${r(y1)}`;
      }
    }
    return text;
  }

  kiln.layout = { part, path };
})();
