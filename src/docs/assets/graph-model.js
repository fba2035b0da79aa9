// The graph as numbers: who reads whom, and what a column comes from and goes into.
(() => {
  "use strict";
  const kiln = window.kiln;

  /** Breadth first over all steps from one node; the start is not in it.
   * @param {number} start
   * @param {number[][]} steps
   * @param {number} [depth] */
  function walk(start, steps, depth = Infinity) {
    /** @type {Set<number>} */
    const seen = new Set([start]);
    let ring = [start];
    for (let far = 0; far < depth && ring.length; far++) {
      const next = [];
      for (const at of ring) {
        for (const to of steps[at]) {
          if (!seen.has(to)) {
            seen.add(to);
            next.push(to);
          }
        }
      }
      ring = next;
    }
    seen.delete(start);
    return seen;
  }

  /** @param {KilnData} data @returns {KilnModel} */
  kiln.model = (data) => {
    /** @type {number[][]} */
    const parents = data.nodes.map(() => []);
    /** @type {number[][]} */
    const children = data.nodes.map(() => []);
    for (const [from, to] of data.edges) {
      parents[to].push(from);
      children[from].push(to);
    }
    const number = new Map(data.nodes.map((node, at) => [node.id, at]));
    const words = new Map(data.statuses.map((status) => [status.key, status]));
    const none = { key: "none", label: "no runs", sign: "–" };

    /** @param {number} node @returns {Promise<KilnColumns>} */
    async function columns(node) {
      const shard = Math.floor(node / data.shard);
      await kiln.need(`data/cols/${shard}.js`, () => window.__KILN_COLS?.[shard] !== undefined);
      return window.__KILN_COLS?.[shard]?.[node] ?? { cols: [], up: [], down: [] };
    }

    /** Follows one column both ways. A way is a value only if every step is; influences are followed when asked for.
     * @param {number} node @param {number} column @param {boolean} influence @returns {Promise<KilnReach>} */
    async function reach(node, column, influence) {
      /** @type {KilnReach} */
      const found = { up: new Map(), down: new Map(), edges: [], unknown: new Set(), may: new Set() };
      const drawn = new Set();
      const start = `${node}:${column}`;
      for (const way of /** @type {("up" | "down")[]} */ (["up", "down"])) {
        const reached = found[way];
        /** @type {[number, number, number][]} */
        let ring = [[node, column, 0]];
        const seen = new Set([`${start}:0`]);
        while (ring.length) {
          /** @type {[number, number, number][]} */
          const next = [];
          for (const [at, here, kind] of ring) {
            const known = await columns(at);
            if (known.unknown?.includes(here)) found.unknown.add(`${at}:${here}`);
            if (way === "down") {
              for (const child of children[at]) {
                for (const open of (await columns(child)).unknown ?? []) found.may.add(`${child}:${open}`);
              }
            }
            for (const step of known[way]) {
              const [a, other, b, edge] = step;
              if ((a !== here && a !== -1) || (edge === 1 && !influence)) continue;
              const line = way === "up" ? [other, b, at, a === -1 ? -1 : here, edge] : [at, here, other, b, edge];
              const name = line.join(":");
              if (!drawn.has(name)) {
                drawn.add(name);
                found.edges.push(/** @type {[number, number, number, number, number]} */ (line));
              }
              const last = b === -1 ? (await columns(other)).cols.map((_, place) => place) : [b];
              const strength = Math.max(kind, edge);
              for (const to of last) {
                const key = `${other}:${to}`;
                if (key !== start) reached.set(key, Math.min(strength, reached.get(key) ?? 9));
                if (!seen.has(`${key}:${strength}`)) {
                  seen.add(`${key}:${strength}`);
                  next.push([other, to, strength]);
                }
              }
            }
          }
          ring = next;
        }
      }
      return found;
    }

    return {
      data,
      parents,
      children,
      number,
      statusOf: (key) => words.get(key) ?? none,
      around: (focus, up, down) => {
        const nodes = walk(focus, parents, up);
        for (const node of walk(focus, children, down)) nodes.add(node);
        return nodes.add(focus);
      },
      all: (start, steps) => walk(start, steps),
      columns,
      reach,
    };
  };
})();
