// The lineage view: what is seen is decided by the address, drawn as SVG up to some hundred boxes and on a canvas above,
// and walked with the mouse, fingers or arrow keys.
(() => {
  "use strict";
  const kiln = window.kiln;
  const { el } = kiln;
  const SVG_MOST = 400;
  const FLAT_MOST = 80;
  const ROWS_MOST = 16;
  const HEAD = 44;
  const ROW = 20;
  const DIFF_SIGNS = /** @type {{ [label: string]: string }} */ ({ added: "+", removed: "−", modified: "~", affected: "↓" });

  /** @param {number} count @param {string} one */
  const many = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

  /** @param {number} seconds */
  const took = (seconds) => (seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`);

  /** @param {HTMLElement} host @param {KilnModel} model */
  function mount(host, model) {
    const data = model.data;
    const fixed = host.dataset.node ? data.nodes[Number(host.dataset.node)]?.id : undefined;
    const state = () => (fixed ? new URLSearchParams({ focus: fixed }) : kiln.state());
    let pen = kiln.pen();
    /** @type {KilnScene} */
    let scene = { w: 0, h: 0, boxes: [], lines: [], bands: [], edges: [], hot: -1 };
    /** @type {KilnView} */
    let view = { k: 1, x: 0, y: 0 };
    /** The box that the keyboard is on. */
    let cursor = -1;
    let picked = -1;
    let asked = 0;
    let pushed = 0;
    let shown = "";
    /** @type {Element | null} */
    let world = null;
    /** @type {CanvasRenderingContext2D | null} */
    let context = null;

    const stage = el("div", { class: "stage", role: "group", "aria-label": "lineage graph: arrow keys walk, Enter opens, F focuses, Escape goes back" });
    const heads = el("div", { class: "band-heads", "aria-hidden": "true" });
    const proxy = el("button", { class: "proxy", type: "button", hidden: true });
    const map = /** @type {HTMLCanvasElement} */ (el("canvas", { class: "minimap", "aria-hidden": "true", width: "168", height: "112", hidden: true }));
    const note = el("p", { class: "graph-note", role: "status" });
    const bar = el("div", { class: "graph-bar" });
    const panel = el("aside", { class: "graph-panel", "aria-label": "the chosen node" });
    const zoom = el(
      "div",
      { class: "zoom" },
      el("button", { type: "button", text: "+", "aria-label": "zoom in", onclick: () => zoomBy(1.3) }),
      el("button", { type: "button", text: "−", "aria-label": "zoom out", onclick: () => zoomBy(1 / 1.3) }),
      el("button", { type: "button", text: "fit", "aria-label": "fit the graph into the view", onclick: () => fit() }),
    );
    const drawn = el("div", { class: "drawn" });
    stage.append(drawn, proxy, heads, zoom, map);
    host.replaceChildren(...(fixed ? [stage] : [bar, note, el("div", { class: "graph-main" }, stage, panel)]));
    host.classList.add("graph-ready");

    // What the address says.

    /** @param {{ [name: string]: string | number | null }} changes @param {boolean} [replace] */
    function change(changes, replace) {
      const next = state();
      for (const [name, value] of Object.entries(changes)) {
        if (value === null || value === "") next.delete(name);
        else next.set(name, String(value));
      }
      if (fixed) return;
      if (!replace) pushed++;
      kiln.go(next, replace);
    }

    const focusOf = (/** @type {URLSearchParams} */ now) => {
      const wanted = now.get("focus");
      if (!wanted) return -1;
      return model.number.get(wanted) ?? data.nodes.findIndex((node) => node.name === wanted);
    };
    const depthOf = (/** @type {URLSearchParams} */ now, /** @type {string} */ name) => {
      const text = now.get(name) ?? "1";
      return text === "all" ? Infinity : Math.max(0, Number.parseInt(text, 10) || 0);
    };
    const byOf = (/** @type {URLSearchParams} */ now) => {
      const by = now.get("by") ?? "";
      return Object.hasOwn(data.groups, by) ? by : "folder";
    };
    const overlay = (/** @type {URLSearchParams} */ now) => data.diff !== undefined && now.get("diff") === "1";

    const filterOf = (/** @type {URLSearchParams} */ now) => kiln.filters.passes(data, now);

    /** @param {number} at @param {boolean} diff */
    function labelOf(at, diff) {
      const node = data.nodes[at];
      const status = model.statusOf(node.status);
      const parts = [node.kind, data.layers[node.layer].label, status.label];
      if (node.why) parts.push(node.why);
      if (diff && node.diff) parts.push(node.diff);
      parts.push(`${node.up ?? 0} upstream`, `${node.down ?? 0} downstream`);
      return parts.join(", ");
    }

    /** A folder without what its band says already.
     * @param {KilnGroup} group */
    function titleOf(group) {
      const layer = data.layers[group.layer];
      const parts = group.name.split("/");
      if (parts[0] === "models") parts.shift();
      if (parts[0] === layer.key) parts.shift();
      return parts.join("/") || (group.name ? group.name : `other ${layer.label}`);
    }

    const spoken = (/** @type {KilnBox} */ box) => `${box.title}, ${box.sub}, ${box.label}`;

    // What is drawn.

    /** @param {number} at @param {boolean} diff @returns {KilnBox} */
    function boxOf(at, diff) {
      const node = data.nodes[at];
      const status = model.statusOf(node.status);
      const change = diff ? (node.diff ?? "unchanged") : "";
      const parts = [change && change !== "unchanged" ? `${DIFF_SIGNS[change]} ${change}` : "", status.label, node.mat || node.kind];
      if (node.rows !== undefined) parts.push(many(node.rows, "row"));
      return {
        id: node.id,
        node: at,
        group: -1,
        x: node.x,
        y: node.y,
        w: data.box[0],
        h: data.box[1],
        title: node.name,
        sub: parts.filter(Boolean).join(" · "),
        status: node.status,
        sign: status.sign,
        label: labelOf(at, diff),
        dim: change === "unchanged",
        focus: false,
        diff: change,
        rows: [],
        more: 0,
        hiddenUp: 0,
        hiddenDown: 0,
      };
    }

    /** @param {number} x0 @param {number} y0 @param {number[]} lanes @param {number} x1 @param {number} y1 */
    const through = (x0, y0, lanes, x1, y1) => [x0, y0, ...lanes, x1, y1];

    /** @param {URLSearchParams} now @returns {KilnScene} */
    function groupScene(now) {
      const by = data.groups[byOf(now)];
      const passes = filterOf(now);
      const diff = overlay(now);
      const counts = by.groups.map(() => 0);
      const changed = by.groups.map(() => 0);
      const status = by.groups.map(() => data.statuses.map(() => 0));
      const place = new Map(data.statuses.map((one, at) => [one.key, at]));
      data.nodes.forEach((node, at) => {
        if (!passes(at) || (node.diff === "removed" && !diff)) return;
        counts[by.of[at]]++;
        if (node.diff) changed[by.of[at]]++;
        status[by.of[at]][place.get(node.status) ?? 0]++;
      });
      /** @type {Map<number, number>} */
      const boxAt = new Map();
      /** @type {KilnBox[]} */
      const boxes = [];
      by.groups.forEach((group, at) => {
        if (!counts[at]) return;
        const layer = data.layers[group.layer];
        const name = titleOf(group);
        const worst = data.statuses.findIndex((one, place) => status[at][place] && one.key !== "none" && one.key !== "ok");
        const word = worst < 0 ? (status[at][place.get("ok") ?? 0] ? data.statuses[place.get("ok") ?? 0] : model.statusOf("none")) : data.statuses[worst];
        const parts = [many(counts[at], "node")];
        if (worst >= 0) parts.push(`${status[at][worst]} ${word.label}`);
        if (diff && changed[at]) parts.push(`${changed[at]} changed`);
        boxAt.set(at, boxes.length);
        boxes.push({
          id: `${layer.key}:${group.name}`, node: -1, group: at, x: group.x, y: group.y, w: data.box[0], h: data.box[1],
          title: name, sub: parts.join(" · "), status: word.key, sign: word.sign,
          label: `group in ${layer.label}`,
          dim: diff && !changed[at], focus: false, diff: "", rows: [], more: 0, hiddenUp: 0, hiddenDown: 0,
        });
      });
      const bands = grid(boxes, by);
      /** @type {KilnLine[]} */
      const lines = [];
      /** @type {[number, number][]} */
      const edges = [];
      for (const [from, to, weight] of by.edges) {
        const [a, b] = [boxAt.get(from), boxAt.get(to)];
        if (a === undefined || b === undefined) continue;
        edges.push([a, b]);
        lines.push({ from: a, to: b, weight, kind: "plain", dim: by.edges.length > 60, points: between(boxes[a], boxes[b]) });
      }
      const right = boxes.reduce((most, box) => Math.max(most, box.x + box.w), 0);
      const bottom = boxes.reduce((most, box) => Math.max(most, box.y + box.h), 0);
      return { w: right + 32, h: bottom + 24, boxes, lines, bands, edges, hot: -1 };
    }

    /** Groups may read each other in circles, so their order is only a hint: each band is filled column by column, in
     * about the shape of the view.
     * @param {KilnBox[]} boxes @param {KilnGrouping} by */
    function grid(boxes, by) {
      const [w, h] = [data.box[0] + 40, data.box[1] + 28];
      const members = data.layers.map((_, place) =>
        boxes
          .filter((box) => by.groups[box.group].layer === place)
          .sort((a, b) => by.groups[a.group].rank - by.groups[b.group].rank || by.groups[a.group].order - by.groups[b.group].order),
      );
      const wide = (/** @type {number} */ rows) => members.reduce((sum, some) => sum + Math.ceil(some.length / rows), 0);
      const shape = (stage.clientWidth || 1200) / Math.max(300, stage.clientHeight - 30);
      let rows = 1;
      while (rows < boxes.length && wide(rows) * w > shape * rows * h) rows++;
      let x = 32;
      return members.flatMap((some, place) => {
        if (!some.length) return [];
        const left = x - 20;
        const high = Math.ceil(some.length / Math.ceil(some.length / rows));
        some.forEach((box, at) => {
          box.x = x + Math.floor(at / high) * w;
          box.y = 24 + (at % high) * h;
        });
        x += Math.ceil(some.length / high) * w;
        return [{ x: left, w: x - 20 - left, label: data.layers[place].label }];
      });
    }

    /** From one side of a box to a side of another, wherever they stand.
     * @param {KilnBox} from @param {KilnBox} to */
    const between = (from, to) => {
      const [y0, y1] = [from.y + data.box[1] / 2, to.y + data.box[1] / 2];
      if (to.x > from.x) return [from.x + from.w, y0, to.x, y1];
      if (to.x < from.x) return [from.x, y0, to.x + to.w, y1];
      return [from.x + from.w, y0, to.x + to.w, y1];
    };

    /** @param {URLSearchParams} now @param {Set<number>} wanted @param {number} focus @returns {Promise<KilnScene>} */
    async function partScene(now, wanted, focus) {
      const diff = overlay(now);
      const passes = filterOf(now);
      const column = focus < 0 ? -1 : await columnOf(now, focus);
      const reach = column < 0 ? undefined : await model.reach(focus, column, now.get("influence") === "1");
      /** @type {Map<number, Map<number, string>>} */
      const hits = new Map();
      if (reach) {
        const hit = (/** @type {string} */ key, /** @type {string} */ as) => {
          const [node, place] = key.split(":").map(Number);
          const there = hits.get(node) ?? new Map();
          if (!there.has(place)) there.set(place, as);
          hits.set(node, there);
        };
        hit(`${focus}:${column}`, "chosen");
        for (const side of [reach.up, reach.down]) for (const [key, kind] of side) hit(key, kind === 0 ? "value" : "influence");
        for (const key of reach.may) hit(key, "unknown");
        for (const node of hits.keys()) wanted.add(node);
        for (const key of reach.unknown) for (const parent of model.parents[Number(key.split(":")[0])]) wanted.add(parent);
      }
      const nodes = [...wanted].filter((node) => passes(node) && (diff || data.nodes[node].diff !== "removed")).sort((a, b) => a - b);
      const showAll = now.get("cols") === "1" && nodes.length <= SVG_MOST;
      /** @type {Map<number, { rows: KilnRow[], more: number }>} */
      const rowsOf = new Map();
      for (const node of nodes) {
        if (!showAll && !hits.has(node)) continue;
        const known = await model.columns(node);
        const open = new Set(known.unknown);
        const there = hits.get(node);
        const rows = known.cols
          .map(([name, type], place) => ({ column: place, name, type, as: there?.get(place) ?? "plain", unknown: open.has(place) }))
          .filter((row) => showAll || row.as !== "plain");
        // What was reached is never cut off in favour of what was not.
        const reached = rows.filter((row) => row.as !== "plain").length;
        const most = Math.max(ROWS_MOST, Math.min(reached, 60));
        const kept = rows.length <= most ? rows : rows.filter((row, at) => row.as !== "plain" || at < most - reached).slice(0, most);
        rowsOf.set(node, { rows: kept, more: rows.length - kept.length });
      }
      const heightOf = (/** @type {number} */ node) => {
        const there = rowsOf.get(node);
        return there && there.rows.length ? HEAD + there.rows.length * ROW + (there.more ? ROW : 0) + 6 : data.box[1];
      };
      const placed = kiln.layout.part(model, nodes, heightOf);
      const inside = new Set(nodes);
      const alive = (/** @type {number} */ node) => !inside.has(node) && (diff || data.nodes[node].diff !== "removed");
      const boxAt = new Map(nodes.map((node, at) => [node, at]));
      const boxes = nodes.map((node) => {
        const box = boxOf(node, diff);
        Object.assign(box, placed.at.get(node), rowsOf.get(node));
        box.h = heightOf(node);
        box.focus = node === focus;
        if (reach) box.dim = !hits.has(node) && node !== focus;
        box.hiddenUp = model.parents[node].filter(alive).length;
        box.hiddenDown = model.children[node].filter(alive).length;
        return box;
      });
      /** @type {KilnLine[]} */
      const lines = [];
      /** @type {[number, number][]} */
      const edges = [];
      for (const to of nodes) {
        for (const from of model.parents[to]) {
          const [a, b] = [boxAt.get(from), boxAt.get(to)];
          if (a === undefined || b === undefined || a === b) continue;
          const [one, two] = [boxes[a], boxes[b]];
          edges.push([from, to]);
          const lanes = placed.routes.get(`${from}:${to}`) ?? [];
          lines.push({
            from: a, to: b, weight: 1, kind: "plain", dim: reach !== undefined || one.dim || two.dim,
            points: through(one.x + one.w, one.y + data.box[1] / 2, lanes, two.x, two.y + data.box[1] / 2),
          });
        }
      }
      if (reach) {
        const port = (/** @type {KilnBox} */ box, /** @type {number} */ place) => {
          const at = box.rows.findIndex((row) => row.column === place);
          if (at >= 0) return box.y + HEAD + at * ROW + ROW / 2;
          return place < 0 || !box.more ? box.y + data.box[1] / 2 : box.y + HEAD + box.rows.length * ROW + ROW / 2;
        };
        const link = (/** @type {number} */ from, /** @type {number} */ a, /** @type {number} */ to, /** @type {number} */ b, /** @type {KilnLine["kind"]} */ kind) => {
          const [start, end] = [boxAt.get(from), boxAt.get(to)];
          if (start === undefined || end === undefined) return;
          const [one, two] = [boxes[start], boxes[end]];
          const lanes = placed.routes.get(`${from}:${to}`) ?? [];
          lines.push({ from: start, to: end, weight: 1, kind, dim: false, points: through(one.x + one.w, port(one, a), lanes, two.x, port(two, b)) });
        };
        for (const [from, a, to, b, kind] of reach.edges) link(from, a, to, b, kind === 0 ? "value" : "influence");
        for (const key of new Set([...reach.unknown, ...reach.may])) {
          const [node, place] = key.split(":").map(Number);
          for (const parent of model.parents[node]) link(parent, -1, node, place, "unknown");
        }
      }
      const bands = placed.bands.map((band) => ({ x: band.x, w: band.w, label: data.layers[band.layer].label }));
      return { w: placed.w, h: placed.h, boxes, lines, bands, edges, hot: -1 };
    }

    /** @param {URLSearchParams} now @param {number} focus */
    async function columnOf(now, focus) {
      const name = now.get("column");
      if (!name) return -1;
      return (await model.columns(focus)).cols.findIndex((column) => column[0] === name);
    }

    /** @param {URLSearchParams} now */
    const isGrouped = (now) => !now.get("focus") && !now.get("group") && now.get("view") !== "all" && (now.has("by") || data.nodes.length > FLAT_MOST);

    /** @param {URLSearchParams} now */
    function membersOf(now) {
      const by = data.groups[byOf(now)];
      const wanted = now.get("group");
      const at = by.groups.findIndex((group) => `${data.layers[group.layer].key}:${group.name}` === wanted);
      return { group: by.groups[at], members: new Set(data.nodes.map((_, node) => node).filter((node) => by.of[node] === at)) };
    }

    async function render() {
      const mine = ++asked;
      const now = state();
      const focus = focusOf(now);
      const diff = overlay(now);
      const passes = filterOf(now);
      const everything = data.nodes.map((_, at) => at).filter((at) => diff || data.nodes[at].diff !== "removed");
      /** @type {number[]} */
      let subject = everything;
      /** @type {KilnScene} */
      let next;
      if (now.get("focus") && focus < 0) {
        next = { w: 0, h: 0, boxes: [], lines: [], bands: [], edges: [], hot: -1 };
        subject = [];
      } else if (focus >= 0) {
        const around = model.around(focus, depthOf(now, "up"), depthOf(now, "down"));
        subject = [...around].filter((at) => diff || data.nodes[at].diff !== "removed");
        next = await partScene(now, around, focus);
      } else if (now.get("group")) {
        const { members } = membersOf(now);
        subject = [...members];
        next = await partScene(now, members, -1);
      } else if (isGrouped(now)) next = groupScene(now);
      else {
        const passing = everything.filter(passes);
        next = await partScene(now, new Set(passing), -1);
      }
      if (mine !== asked) return;
      const hidden = subject.filter((at) => !passes(at)).length;
      const before = scene.boxes.find((box) => box.focus);
      const keep = before && next.boxes.find((box) => box.focus && box.node === before.node);
      const same = shown === `${now.get("focus")}|${now.get("group")}|${now.get("view")}|${now.get("by")}`;
      shown = `${now.get("focus")}|${now.get("group")}|${now.get("view")}|${now.get("by")}`;
      scene = next;
      cursor = -1;
      if (!fixed) panel.hidden = focus < 0;
      paint();
      if (before && keep) {
        view.x += view.k * (before.x - keep.x);
        view.y += view.k * (before.y - keep.y);
      } else fit(true);
      if (focus >= 0 && (picked < 0 || !scene.boxes.some((box) => box.node === picked) || !same)) picked = focus;
      if (!same && focus < 0) picked = -1;
      apply();
      if (!fixed) {
        await controls(now, focus, hidden, subject.length);
        if (mine === asked) await describe(now, focus);
      }
      host.dataset.drawn = String(Number(host.dataset.drawn ?? 0) + 1);
    }

    function paint() {
      drawn.replaceChildren();
      proxy.hidden = true;
      world = null;
      context = null;
      if (scene.boxes.length <= SVG_MOST) {
        const root = kiln.draw.svg(scene, pen, false);
        root.setAttribute("role", "presentation");
        world = root.querySelector(".world");
        drawn.append(root);
        const first = Math.max(0, scene.boxes.findIndex((box) => box.focus));
        boxElement(first)?.setAttribute("tabindex", "0");
      } else {
        const canvas = /** @type {HTMLCanvasElement} */ (el("canvas", { "aria-hidden": "true" }));
        drawn.append(canvas);
        context = canvas.getContext("2d");
        proxy.hidden = false;
        cursor = Math.max(0, scene.boxes.findIndex((box) => box.focus));
        proxy.setAttribute("aria-label", spoken(scene.boxes[cursor]));
      }
      heads.replaceChildren(...scene.bands.map((band) => el("span", { text: band.label })));
      drawMap();
    }

    /** @param {number} at */
    const boxElement = (at) => /** @type {SVGElement | null} */ (drawn.querySelector(`[data-box="${at}"] > .press`));

    let waiting = false;
    function apply() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        applyNow();
      });
    }

    function applyNow() {
      const { k, x, y } = view;
      const w = stage.clientWidth;
      const h = stage.clientHeight;
      if (world) world.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
      if (context) {
        const dense = devicePixelRatio || 1;
        const canvas = context.canvas;
        if (canvas.width !== Math.round(w * dense) || canvas.height !== Math.round(h * dense)) {
          canvas.width = Math.round(w * dense);
          canvas.height = Math.round(h * dense);
        }
        context.setTransform(dense, 0, 0, dense, 0, 0);
        kiln.draw.canvas(scene, pen, context, view, w, h);
        const box = scene.boxes[cursor];
        if (box) proxy.style.cssText = `left:${x + box.x * k}px;top:${y + box.y * k}px;width:${box.w * k}px;height:${box.h * k}px`;
      }
      scene.bands.forEach((band, at) => {
        const head = /** @type {HTMLElement} */ (heads.children[at]);
        const left = x + band.x * k;
        const right = left + band.w * k;
        const from = Math.max(left, 0);
        const room = Math.min(right, w) - from;
        head.hidden = room < 36;
        head.style.transform = `translateX(${from}px)`;
        head.style.width = `${Math.max(0, room)}px`;
      });
      frameMap(w, h);
    }

    /** Lines of the box under the pointer or the keyboard stand out.
     * @param {number} at */
    function warm(at) {
      if (scene.hot === at) return;
      scene.hot = at;
      if (world) {
        for (const line of world.querySelectorAll(".near")) line.classList.remove("near");
        if (at >= 0) for (const line of world.querySelectorAll(`[data-from="${at}"], [data-to="${at}"]`)) line.classList.add("near");
      } else apply();
    }

    drawn.addEventListener("pointermove", (event) => {
      if (!fingers.size) warm(hit(event).at);
    });
    drawn.addEventListener("pointerleave", () => warm(-1));

    // Pan and zoom.

    /** @param {boolean} [quiet] */
    function fit(quiet) {
      const w = stage.clientWidth;
      const h = stage.clientHeight;
      if (!scene.w || !w) return;
      const top = 30;
      const focus = scene.boxes.find((box) => box.focus);
      const whole = Math.min(w / scene.w, (h - top) / scene.h);
      // A focus must stay readable: a wide neighbourhood is then left through the edges of the view.
      const k = Math.min(1, focus && quiet ? Math.max(whole, w < 500 ? 0.8 : 0.6) : Math.max(whole, 0.015));
      view = { k, x: (w - scene.w * k) / 2, y: top + (h - top - scene.h * k) / 2 };
      if (quiet && !focus && w < 600 && whole < 0.75 && scene.boxes.length <= SVG_MOST) {
        // On a phone all of it would be too small to read: it starts with its first layers.
        view = { k: 0.8, x: 0, y: top + Math.max(0, (h - top - scene.h * 0.8) / 2) };
      }
      if (focus && k > whole) {
        view.x = scene.w * k > w ? w / 2 - (focus.x + focus.w / 2) * k : view.x;
        view.y = scene.h * k > h - top ? top + (h - top) / 2 - (focus.y + 22) * k : view.y;
      }
      apply();
    }

    /** @param {number} by @param {number} [x] @param {number} [y] */
    function zoomBy(by, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
      const k = Math.min(2.5, Math.max(0.015, view.k * by));
      view = { k, x: x - ((x - view.x) * k) / view.k, y: y - ((y - view.y) * k) / view.k };
      apply();
    }

    stage.addEventListener(
      "wheel",
      (event) => {
        if (fixed && !event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const area = stage.getBoundingClientRect();
        zoomBy(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), event.clientX - area.left, event.clientY - area.top);
      },
      { passive: false },
    );

    /** @type {Map<number, { x: number, y: number }>} */
    const fingers = new Map();
    let moved = 0;
    drawn.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      moved = 0;
    });
    stage.addEventListener("pointermove", (event) => {
      const was = fingers.get(event.pointerId);
      if (!was) return;
      const [dx, dy] = [event.clientX - was.x, event.clientY - was.y];
      moved += Math.abs(dx) + Math.abs(dy);
      if (moved > 4 && !stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
      if (fingers.size === 1) {
        if (moved <= 4) return;
        view.x += dx;
        view.y += dy;
      } else if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1] ?? was;
        const far = (/** @type {number} */ ax, /** @type {number} */ ay) => Math.hypot(ax - other.x, ay - other.y) || 1;
        const area = stage.getBoundingClientRect();
        view.x += dx / 2;
        view.y += dy / 2;
        zoomBy(far(event.clientX, event.clientY) / far(was.x, was.y), (other.x + event.clientX) / 2 - area.left, (other.y + event.clientY) / 2 - area.top);
      }
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      apply();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => fingers.delete(/** @type {PointerEvent} */ (event).pointerId));
    }

    /** @param {MouseEvent} event @returns {{ at: number, column: number }} */
    function hit(event) {
      const target = event.target instanceof Element ? event.target : null;
      const element = target?.closest("[data-box]");
      if (element instanceof SVGElement) {
        const row = target?.closest("[data-column]");
        return { at: Number(element.dataset.box), column: row instanceof SVGElement ? Number(row.dataset.column) : -1 };
      }
      const area = stage.getBoundingClientRect();
      const x = (event.clientX - area.left - view.x) / view.k;
      const y = (event.clientY - area.top - view.y) / view.k;
      const at = context ? scene.boxes.findIndex((box) => x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h) : -1;
      const row = at < 0 ? -1 : Math.floor((y - scene.boxes[at].y - HEAD) / ROW);
      return { at, column: scene.boxes[at]?.rows[row]?.column ?? -1 };
    }

    drawn.addEventListener("click", (event) => {
      if (moved > 4) return;
      const { at, column } = hit(event);
      if (at < 0) return;
      const box = scene.boxes[at];
      if (fixed) return open(box);
      if (column >= 0) return void chooseColumn(box.node, column);
      setCursor(at, true);
      if (box.group >= 0) openGroup(box.group);
      else pick(box.node);
    });
    drawn.addEventListener("dblclick", (event) => {
      const { at } = hit(event);
      if (at >= 0 && scene.boxes[at].node >= 0 && !fixed) focusOn(scene.boxes[at].node);
    });

    // Going places.

    /** @param {number} node */
    function pick(node) {
      picked = node;
      void describe(state(), focusOf(state()));
    }

    /** @param {number} node */
    function focusOn(node) {
      change({ focus: data.nodes[node].id, column: null, influence: null, group: null, by: null, view: null, up: null, down: null });
    }

    /** @param {number} group */
    function openGroup(group) {
      const now = state();
      const by = byOf(now);
      const one = data.groups[by].groups[group];
      change({ by, group: `${data.layers[one.layer].key}:${one.name}` });
    }

    /** @param {number} node @param {number} column */
    async function chooseColumn(node, column) {
      const name = (await model.columns(node)).cols[column]?.[0];
      if (name === undefined) return;
      const now = state();
      const same = focusOf(now) === node && now.get("column") === name;
      change({ focus: data.nodes[node].id, column: same ? null : name, group: null, view: null, by: null });
    }

    /** @param {KilnBox} box */
    function open(box) {
      if (box.group >= 0) return openGroup(box.group);
      const url = data.nodes[box.node].url;
      if (!url) return;
      try {
        const to = new URL(kiln.href(url), location.href).href;
        if (!fixed) sessionStorage.setItem("kiln-from", JSON.stringify({ from: location.href, at: data.nodes[box.node].id, to }));
      } catch {
        // Without storage, Escape does not lead back.
      }
      location.href = kiln.href(url);
    }

    // The keyboard.

    /** @param {number} at @param {boolean} [still] */
    function setCursor(at, still) {
      if (cursor >= 0) boxElement(cursor)?.setAttribute("tabindex", "-1");
      else drawn.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
      cursor = at;
      warm(at);
      const box = scene.boxes[at];
      const element = boxElement(at);
      const [w, h] = [stage.clientWidth, stage.clientHeight];
      const left = view.x + box.x * view.k;
      const top = view.y + box.y * view.k;
      if (!still) {
        if (left < 8 || left + box.w * view.k > w - 8) view.x += w / 2 - left - (box.w * view.k) / 2;
        if (top < 36 || top + box.h * view.k > h - 8) view.y += h / 2 - top - (box.h * view.k) / 2;
      }
      if (element) {
        element.setAttribute("tabindex", "0");
        element.focus({ preventScroll: true });
      } else {
        proxy.setAttribute("aria-label", spoken(box));
        if (document.activeElement === proxy) kiln.say(spoken(box));
        proxy.focus({ preventScroll: true });
      }
      applyNow();
      if (box.node >= 0 && !fixed) pick(box.node);
    }

    stage.addEventListener("focusin", (event) => {
      const element = event.target instanceof Element ? event.target.closest("[data-box]") : null;
      if (element instanceof SVGElement) cursor = Number(element.dataset.box);
    });

    /** The visible neighbour one step along an edge that is nearest in height.
     * @param {number} at @param {"from" | "to"} side */
    function along(at, side) {
      const other = side === "from" ? "to" : "from";
      let best = -1;
      for (const line of scene.lines) {
        if (line[other] !== at) continue;
        const to = line[side];
        if (best < 0 || Math.abs(scene.boxes[to].y - scene.boxes[at].y) < Math.abs(scene.boxes[best].y - scene.boxes[at].y)) best = to;
      }
      return best;
    }

    /** @param {number} at @param {number} way */
    function beside(at, way) {
      const here = scene.boxes[at];
      let best = -1;
      scene.boxes.forEach((box, to) => {
        if (to === at || Math.abs(box.x - here.x) > here.w / 2 || (box.y - here.y) * way <= 0) return;
        if (best < 0 || Math.abs(box.y - here.y) < Math.abs(scene.boxes[best].y - here.y)) best = to;
      });
      return best;
    }

    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || cursor < 0) return;
      const onBox = event.target === proxy || (event.target instanceof Element && event.target.closest("[data-box]"));
      if (!onBox) return;
      const box = scene.boxes[cursor];
      /** @type {{ [key: string]: () => number | void }} */
      const keys = {
        ArrowLeft: () => along(cursor, "from"),
        ArrowRight: () => along(cursor, "to"),
        ArrowUp: () => beside(cursor, -1),
        ArrowDown: () => beside(cursor, 1),
        Home: () => scene.boxes.findIndex((one) => one.focus),
        Enter: () => open(box),
        " ": () => (box.node >= 0 ? focusOn(box.node) : open(box)),
        f: () => (box.node >= 0 ? focusOn(box.node) : undefined),
        "+": () => zoomBy(1.3),
        "-": () => zoomBy(1 / 1.3),
        0: () => fit(),
      };
      const act = keys[event.key];
      if (!act) return;
      event.preventDefault();
      const to = act();
      if (typeof to !== "number") return;
      if (to >= 0) setCursor(to);
      else kiln.say("nothing there in this view");
    });

    if (!fixed) {
      document.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || event.defaultPrevented || !host.isConnected || host.offsetParent === null) return;
        const typing = event.target instanceof HTMLElement && event.target.closest("input, select, textarea, details[open]");
        if (typing) return;
        const now = state();
        if (pushed > 0) {
          pushed--;
          history.back();
        } else if (now.get("column")) change({ column: null, influence: null }, true);
        else if (now.get("focus") || now.get("group") || now.get("view")) {
          change({ focus: null, group: null, view: null, up: null, down: null, column: null, influence: null, cols: null }, true);
        }
      });
    }

    // The bar above: what is seen, and what may be changed about it.

    /** @param {string} label @param {boolean} on @param {() => void} then @param {string} [name] */
    const toggle = (label, on, then, name) => el("button", { type: "button", class: "toggle", name, "aria-pressed": String(on), text: label, onclick: then });

    /** @param {string} side @param {string} word @param {number} depth @param {number} total */
    function stepper(side, word, depth, total) {
      const set = (/** @type {number | string} */ to) => change({ [side]: to === 1 ? null : to });
      const text = depth === Infinity ? "all" : String(depth);
      return el(
        "div",
        { class: "stepper", role: "group", "aria-label": `${word} depth` },
        el("span", { class: "stepper-word", text: word }),
        el("button", { type: "button", text: "−", "aria-label": `less ${word}`, name: `${side}-less`, disabled: depth === 0, onclick: () => set(depth === Infinity ? 1 : depth - 1) }),
        el("output", { text }),
        el("button", { type: "button", text: "+", "aria-label": `more ${word}`, name: `${side}-more`, disabled: depth === Infinity || total === 0, onclick: () => set(depth + 1) }),
        el("button", { type: "button", class: "link", name: `${side}-all`, text: `of ${total.toLocaleString("en")}`, title: `show all ${total} ${word}`, disabled: total === 0 || depth === Infinity, onclick: () => set("all") }),
      );
    }

    /** @param {URLSearchParams} now @param {number} focus @param {number} hidden @param {number} of */
    async function controls(now, focus, hidden, of) {
      const active = document.activeElement instanceof HTMLElement && bar.contains(document.activeElement) ? document.activeElement.getAttribute("name") : null;
      const parts = [];
      const overview = { focus: null, group: null, view: null, up: null, down: null, column: null, influence: null, cols: null };
      const inside = focus >= 0 || now.get("group") || now.get("view");
      if (inside) parts.push(el("button", { type: "button", class: "link back", name: "overview", text: "← overview", onclick: () => change(now.get("group") && focus < 0 ? { group: null } : { ...overview, by: null }) }));
      if (focus >= 0) {
        const node = data.nodes[focus];
        parts.push(el("strong", { class: "graph-focus", text: node.name }));
        parts.push(stepper("up", "upstream", depthOf(now, "up"), node.up ?? 0), stepper("down", "downstream", depthOf(now, "down"), node.down ?? 0));
        parts.push(toggle("columns", now.get("cols") === "1", () => change({ cols: now.get("cols") === "1" ? null : 1 }), "columns"));
        if (now.get("column")) parts.push(toggle("filters and joins", now.get("influence") === "1", () => change({ influence: now.get("influence") === "1" ? null : 1 }), "influence"));
      } else {
        const group = now.get("group") ? membersOf(now).group : undefined;
        const title = group ? `${data.layers[group.layer].label} · ${titleOf(group)}` : "";
        if (title) parts.push(el("strong", { class: "graph-focus", text: title }));
        if (isGrouped(now)) {
          /** @type {[string, string][]} */
          const ways = Object.keys(data.groups).map((by) => [by, by]);
          parts.push(kiln.filters.select("by", "groups by", ways, byOf(now), (by) => change({ by })));
          parts.push(el("button", { type: "button", class: "link", name: "whole", text: `show all ${data.nodes.length.toLocaleString("en")} nodes`, onclick: () => change({ view: "all", by: null }) }));
        } else if (!inside && data.nodes.length > 12) {
          parts.push(el("button", { type: "button", class: "link", name: "groups", text: "fold into groups", onclick: () => change({ by: "folder" }) }));
        }
      }
      parts.push(kiln.filters.bar(data, now, change));
      if (data.diff) {
        const on = overlay(now);
        const counts = Object.entries(data.diff.counts).filter(([, n]) => n > 0).map(([label, n]) => `${n} ${label}`);
        const button = toggle(`change: ${counts.join(" · ") || "nothing"}`, on, () => change({ diff: on ? 0 : 1 }), "diff");
        button.title = `against ${data.diff.base}`;
        parts.push(button);
      }
      const menu = el("details", { class: "menu" }, el("summary", { text: "export" }));
      const items = el("div", { class: "menu-items" });
      for (const [name, run] of /** @type {[string, () => void][]} */ ([["SVG", saveSvg], ["PNG", savePng], ["Mermaid", saveMermaid]])) {
        items.append(el("button", { type: "button", name: `export-${name.toLowerCase()}`, text: name, onclick: () => { run(); menu.removeAttribute("open"); } }));
      }
      menu.append(items);
      parts.push(el("div", { class: "menus" }, legend(), menu));
      bar.replaceChildren(...parts);
      if (active) /** @type {HTMLElement | null} */ (bar.querySelector(`[name="${active}"]`))?.focus();

      note.replaceChildren(...kiln.filters.note(now, of - hidden, hidden, change));
      if (note.childNodes.length) {
        // What is hidden is said first.
      } else if (!data.nodes.length) note.append("this project has no models yet");
      else if (now.get("focus") && focus < 0) note.append(`nothing here is called ${now.get("focus")}`);
      else if (isGrouped(now)) note.append(`${many(data.nodes.length, "node")} in ${many(scene.boxes.length, "group")}; choose a group to see inside`);
      else if (scene.boxes.length === 1 && focus >= 0 && !data.nodes[focus].up && !data.nodes[focus].down) note.append(`${data.nodes[focus].name} reads nothing and nothing reads it`);
      else note.append(`${many(scene.boxes.length, "node")}, ${many(scene.edges.length, "edge")}`);
      if (now.get("column") && focus >= 0) {
        const at = await columnOf(now, focus);
        if (at < 0) note.append(` · ${data.nodes[focus].name} has no column ${now.get("column")}`);
      }
    }

    // The panel beside: what is known of the chosen node.

    let described = 0;
    /** @param {URLSearchParams} now @param {number} focus */
    async function describe(now, focus) {
      const mine = ++described;
      const at = picked;
      const [narrow, was] = [at < 0, panel.hidden];
      panel.hidden = narrow;
      if (narrow) {
        panel.replaceChildren();
        return;
      }
      if (was) keepSize();
      const node = data.nodes[at];
      const status = model.statusOf(node.status);
      const parts = [
        el("h2", {}, node.url ? el("a", { href: kiln.href(node.url), text: node.name }) : node.name),
        el("p", { class: "panel-line" }, el("span", { class: `chip status-${node.status}` }, el("span", { class: "sign", "aria-hidden": "true", text: status.sign }), ` ${status.label}`), node.why ? ` ${node.why}` : ""),
      ];
      const facts = el("dl", { class: "panel-facts" });
      const fact = (/** @type {string} */ name, /** @type {string | undefined} */ text) => {
        if (text) facts.append(el("dt", { text: name }), el("dd", { text }));
      };
      fact("what", node.mat && node.mat !== node.kind ? `${node.kind}, ${node.mat}` : node.kind);
      fact("layer", data.layers[node.layer].label);
      fact("owner", node.owner);
      fact("tags", node.tags?.join(", "));
      fact("rows", node.rows?.toLocaleString("en"));
      fact(node.kind === "source" || node.mat === "append" ? "loaded" : "built", node.built ? `${node.built} UTC${node.seconds === undefined ? "" : `, in ${took(node.seconds)}`}` : undefined);
      fact("upstream", (node.up ?? 0).toLocaleString("en"));
      fact("downstream", (node.down ?? 0).toLocaleString("en"));
      if (overlay(now)) fact("change", node.diff ?? "none");
      parts.push(facts);
      const actions = el("p", { class: "panel-actions" });
      if (at !== focus) actions.append(el("button", { type: "button", class: "button", name: "focus", text: "focus here", onclick: () => focusOn(at) }));
      if (node.url) actions.append(el("a", { class: "button", href: kiln.href(node.url), text: "open page" }));
      parts.push(actions);
      const known = await model.columns(at).catch(() => undefined);
      const chosen = at === focus ? await columnOf(now, focus) : -1;
      if (known?.cols.length) {
        const open = new Set(known.unknown);
        parts.push(el("h3", { text: many(known.cols.length, "column") }));
        const list = el("ul", { class: "panel-columns" });
        known.cols.forEach(([name, type], place) => {
          const button = el("button", { type: "button", "aria-pressed": String(place === chosen), name: `column-${place}`, onclick: () => void chooseColumn(at, place) });
          button.append(el("span", { class: "column-name", text: name }), el("span", { class: "column-type", text: open.has(place) ? "lineage unknown" : type.toLowerCase() }));
          list.append(el("li", {}, button));
        });
        parts.push(list);
      } else parts.push(el("p", { class: "soft", text: known ? "its columns are not known: the model could not be bound, or nothing declares them" : "its columns cannot be loaded" }));
      if (chosen >= 0) parts.push(...(await reachLists(now, focus, chosen)));
      if (mine !== described) return;
      const active = document.activeElement instanceof HTMLElement && panel.contains(document.activeElement) ? document.activeElement.getAttribute("name") : null;
      panel.replaceChildren(...parts);
      if (active) /** @type {HTMLElement | null} */ (panel.querySelector(`[name="${active}"]`))?.focus();
    }

    /** @param {URLSearchParams} now @param {number} focus @param {number} column */
    async function reachLists(now, focus, column) {
      const influence = now.get("influence") === "1";
      const reach = await model.reach(focus, column, influence);
      const parts = [];
      for (const [title, name, side, none] of /** @type {[string, string, Map<string, number>, string][]} */ ([
        ["comes from", "reach-up", reach.up, "nothing in this project"],
        ["goes into", "reach-down", reach.down, "nothing in this project"],
      ])) {
        parts.push(el("h3", { text: `${title} ${side.size ? many(side.size, "column") : ""}` }));
        if (!side.size) parts.push(el("p", { class: "soft", text: none }));
        const list = el("ul", { class: `reach ${name}` });
        for (const [key, kind] of [...side].slice(0, 400)) list.append(await reachItem(key, kind === 0 ? "value" : "influence", reach.unknown.has(key)));
        parts.push(list);
      }
      if (reach.unknown.has(`${focus}:${column}`)) parts.push(el("p", { class: "warn-text", text: "? where this column comes from is unknown: anything its model reads may be in it" }));
      if (reach.may.size) {
        parts.push(el("h3", { text: "unknown: may go into" }));
        const list = el("ul", { class: "reach reach-may" });
        for (const key of [...reach.may].slice(0, 200)) list.append(await reachItem(key, "unknown", true));
        parts.push(list);
      }
      return parts;
    }

    /** @param {string} key @param {string} kind @param {boolean} unknown */
    async function reachItem(key, kind, unknown) {
      const [node, place] = key.split(":").map(Number);
      const name = (await model.columns(node)).cols[place]?.[0] ?? "?";
      const button = el("button", { type: "button", class: `link as-${kind}`, "data-column": `${data.nodes[node].id}.${name}`, onclick: () => void chooseColumn(node, place) });
      button.append(`${data.nodes[node].name}.`, el("b", { text: name }));
      return el("li", {}, button, kind === "influence" ? el("span", { class: "soft", text: " filter or join" }) : undefined, unknown ? el("span", { class: "warn-text", text: " unknown" }) : undefined);
    }

    function legend() {
      const line = (/** @type {string} */ kind, /** @type {string} */ text) => el("li", {}, el("i", { class: `key-line key-${kind}` }), text);
      const present = new Set(data.nodes.map((node) => node.status));
      const list = el("ul", { class: "legend" });
      for (const status of data.statuses) {
        if (present.has(status.key)) list.append(el("li", {}, el("i", { class: `sign status-${status.key}`, text: status.sign }), status.label));
      }
      list.append(line("plain", "reads"), line("value", "a value goes in"), line("influence", "filters or joins by it"), line("unknown", "unknown"));
      const keys = el("p", { class: "soft", text: "Arrow keys walk, Enter opens a page, F focuses, Escape goes back, + − 0 zoom, / searches. Twice a click focuses." });
      return el("details", { class: "menu" }, el("summary", { text: "legend" }), el("div", { class: "menu-items legend-box" }, list, keys));
    }

    // The map in the corner.

    /** @type {HTMLCanvasElement | null} */
    let whole = null;
    function drawMap() {
      whole = null;
      if (!scene.w || scene.boxes.length < 2) return;
      const k = Math.min(map.width / scene.w, map.height / scene.h);
      whole = document.createElement("canvas");
      whole.width = map.width;
      whole.height = map.height;
      const pencil = whole.getContext("2d");
      if (!pencil) return;
      pencil.fillStyle = pen.card;
      pencil.fillRect(0, 0, map.width, map.height);
      for (const box of scene.boxes) {
        const loud = box.status !== "ok" && box.status !== "none";
        pencil.fillStyle = box.focus ? pen.accent : loud ? (pen[box.status] ?? pen.soft) : pen.rule;
        pencil.globalAlpha = box.dim ? 0.5 : 1;
        pencil.fillRect(box.x * k, box.y * k, Math.max(1.5, box.w * k), Math.max(1.5, box.h * k));
      }
    }

    /** @param {number} w @param {number} h */
    function frameMap(w, h) {
      const { k, x, y } = view;
      const inside = x >= -1 && y >= -1 && x + scene.w * k <= w + 1 && y + scene.h * k <= h + 1;
      map.hidden = !whole || inside || w < 500;
      const pencil = map.getContext("2d");
      if (map.hidden || !whole || !pencil) return;
      const scale = Math.min(map.width / scene.w, map.height / scene.h);
      pencil.drawImage(whole, 0, 0);
      pencil.strokeStyle = pen.accent;
      pencil.lineWidth = 2;
      pencil.strokeRect((-x / k) * scale, (-y / k) * scale, (w / k) * scale, (h / k) * scale);
    }

    map.addEventListener("pointerdown", (event) => {
      const go = (/** @type {PointerEvent} */ at) => {
        const area = map.getBoundingClientRect();
        const scale = Math.min(map.width / scene.w, map.height / scene.h) * (area.width / map.width);
        view.x = stage.clientWidth / 2 - ((at.clientX - area.left) / scale) * view.k;
        view.y = stage.clientHeight / 2 - ((at.clientY - area.top) / scale) * view.k;
        apply();
      };
      map.setPointerCapture(event.pointerId);
      map.onpointermove = go;
      map.onpointerup = () => (map.onpointermove = null);
      go(event);
    });

    // Export: what is seen, as a file.

    /** @param {string} ending @param {Blob} blob */
    function save(ending, blob) {
      const now = state();
      const focus = focusOf(now);
      const name = `${data.project}-${focus >= 0 ? data.nodes[focus].name : "lineage"}`.replace(/[^\p{L}\p{N}_-]+/gu, "-").slice(0, 80);
      const url = URL.createObjectURL(blob);
      const link = el("a", { href: url, download: `${name}.${ending}` });
      document.body.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
      kiln.say(`${ending} saved`);
    }

    function saveSvg() {
      const text = new XMLSerializer().serializeToString(kiln.draw.svg(scene, pen, true));
      // What XML cannot hold would make the whole file unreadable.
      save("svg", new Blob([text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "")], { type: "image/svg+xml" }));
    }

    function savePng() {
      const top = 34;
      const [w, h] = [Math.max(1, scene.w), scene.h + top];
      const wanted = Math.max(2, (2 * stage.clientWidth) / w, (2 * stage.clientHeight) / h);
      // Browsers refuse canvases above some 16,000 pixels a side.
      const k = Math.min(wanted, 12000 / w, 12000 / h, Math.sqrt(3e7 / (w * h)));
      const canvas = document.createElement("canvas");
      canvas.width = Math.ceil(w * k);
      canvas.height = Math.ceil(h * k);
      const pencil = canvas.getContext("2d");
      if (!pencil) return;
      kiln.draw.canvas(scene, pen, pencil, { k, x: 0, y: top * k }, canvas.width, canvas.height);
      pencil.fillStyle = pen.soft;
      pencil.font = `600 ${13 * k}px system-ui, sans-serif`;
      for (const band of scene.bands) pencil.fillText(band.label, (band.x + 16) * k, 22 * k);
      canvas.toBlob((blob) => blob && save("png", blob), "image/png");
    }

    function saveMermaid() {
      /** Mermaid reads text in quotes as HTML, with `#` for its own entities.
       * @param {string} text */
      const quote = (text) =>
        text.replace(/[#"<>&`\0-\x1f]/g, (c) => (c === '"' ? "#quot;" : c < " " ? " " : `#${c.charCodeAt(0)};`));
      const grouped = scene.boxes.some((box) => box.group >= 0);
      const nameOf = (/** @type {KilnBox} */ box, /** @type {number} */ at) => `n${grouped ? at : box.node}`;
      let text = "flowchart LR\n";
      data.layers.forEach((layer, place) => {
        const by = data.groups[byOf(state())];
        const members = scene.boxes.map((box, at) => ({ box, at })).filter(({ box }) => (box.group >= 0 ? by.groups[box.group].layer : data.nodes[box.node].layer) === place);
        if (!members.length) return;
        text += `  subgraph l${place}["${quote(layer.label)}"]\n`;
        for (const { box, at } of members) text += `    ${nameOf(box, at)}["${quote(box.title)}"]\n`;
        text += "  end\n";
      });
      for (const [from, to] of scene.edges) text += `  n${from} --> n${to}\n`;
      save("mmd", new Blob([text], { type: "text/plain" }));
    }

    // Starting.

    kiln.on("theme", () => {
      pen = kiln.pen();
      const keep = cursor;
      paint();
      if (keep >= 0 && context) cursor = keep;
      apply();
    });
    let size = stage.clientWidth * 10000 + stage.clientHeight;
    /** The panel opens beside: what was seen stays where it is. */
    function keepSize() {
      size = stage.clientWidth * 10000 + stage.clientHeight;
      apply();
    }
    new ResizeObserver(() => {
      const now = stage.clientWidth * 10000 + stage.clientHeight;
      if (now === size) return;
      size = now;
      if (scene.boxes.length) fit(true);
    }).observe(stage);
    const start = async () => {
      if (!fixed && data.diff && !kiln.state().has("diff")) {
        const now = kiln.state();
        now.set("diff", "1");
        const before = location.hash;
        kiln.go(now, true);
        if (location.hash !== before) return;
      }
      await render();
    };
    return { render: start, focusBack: (/** @type {string} */ id) => {
      const node = model.number.get(id);
      const at = scene.boxes.findIndex((box) => box.node === node);
      if (at >= 0) setCursor(at);
    } };
  }

  /** @type {WeakMap<Element, ReturnType<typeof mount>>} */
  const mounted = new WeakMap();

  /** @param {HTMLElement} host */
  async function show(host) {
    if (host.getClientRects().length === 0) return;
    try {
      await kiln.need("data/graph.js", () => window.__KILN !== undefined);
      if (!window.__KILN) return;
      let graph = mounted.get(host);
      if (graph && host.dataset.node) return;
      if (!graph) {
        graph = mount(host, kiln.model(window.__KILN));
        mounted.set(host, graph);
      }
      await graph.render();
      if (host.dataset.node) return;
      const back = JSON.parse(sessionStorage.getItem("kiln-from") ?? "null");
      if (back && back.from === location.href) {
        sessionStorage.removeItem("kiln-from");
        graph.focusBack(back.at);
      }
    } catch (error) {
      host.replaceChildren(el("p", { class: "graph-note", text: `the graph cannot be shown: ${error instanceof Error ? error.message : error}` }));
      throw error;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const host = document.getElementById("graph");
    if (host) {
      const start = () => void show(host);
      kiln.on("page", start);
      addEventListener("popstate", start);
      start();
    }
  });
  // A small one on the page of a node is drawn when it comes near.
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) void show(/** @type {HTMLElement} */ (entry.target));
    },
    { rootMargin: "400px" },
  );
  kiln.dress((part) => {
    for (const small of part.querySelectorAll(".graph-part")) near.observe(small);
  });
})();
