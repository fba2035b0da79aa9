// Filters by layer, owner, tag and status, the same for the graph and for the lists of the overview.
(() => {
  "use strict";
  const kiln = window.kiln;
  const { el } = kiln;
  const NAMES = ["layer", "owner", "tag", "status"];

  /** @param {KilnData} data @param {URLSearchParams} now @returns {(node: number) => boolean} */
  function passes(data, now) {
    const [layer, owner, tag, status] = NAMES.map((name) => now.get(name));
    const place = data.layers.findIndex((one) => one.key === layer);
    return (at) => {
      const node = data.nodes[at];
      return (
        node !== undefined &&
        (!layer || node.layer === place) &&
        (!owner || node.owner === owner) &&
        (!tag || (node.tags ?? []).includes(tag)) &&
        (!status || node.status === status)
      );
    };
  }

  /** @type {WeakMap<KilnData, { [name: string]: [string, string][] }>} */
  const counted = new WeakMap();

  /** What can be chosen, with how many nodes each has.
   * @param {KilnData} data */
  function choices(data) {
    const known = counted.get(data);
    if (known) return known;
    /** @param {(node: KilnNode) => string[]} of */
    const count = (of) => {
      /** @type {Map<string, number>} */
      const counts = new Map();
      for (const node of data.nodes) for (const key of of(node)) counts.set(key, (counts.get(key) ?? 0) + 1);
      return counts;
    };
    /** @param {Map<string, number>} counts @returns {[string, string][]} */
    const sorted = (counts) => [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([key, n]) => [key, `${key} (${n})`]);
    const layers = count((node) => [data.layers[node.layer].key]);
    const statuses = count((node) => [node.status]);
    /** @type {{ [name: string]: [string, string][] }} */
    const found = {
      layer: data.layers.filter((one) => layers.has(one.key)).map((one) => [one.key, `${one.label} (${layers.get(one.key)})`]),
      owner: sorted(count((node) => (node.owner ? [node.owner] : []))),
      tag: sorted(count((node) => node.tags ?? [])),
      status: data.statuses.filter((one) => statuses.has(one.key)).map((one) => [one.key, `${one.sign} ${one.label} (${statuses.get(one.key)})`]),
    };
    counted.set(data, found);
    return found;
  }

  /** @param {string} name @param {string} label @param {[string, string][]} options @param {string} value
   * @param {(value: string) => void} then */
  function select(name, label, options, value, then) {
    const box = /** @type {HTMLSelectElement} */ (el("select", { name, onchange: () => then(box.value) }));
    for (const [key, text] of options) box.append(el("option", { value: key, text }));
    box.value = value;
    return el("label", { class: `pick${value ? " on" : ""}` }, el("span", { text: label }), box);
  }

  /** @param {KilnData} data @param {URLSearchParams} now @param {(changes: { [name: string]: string | null }) => void} change */
  function bar(data, now, change) {
    const group = el("div", { class: "filters", role: "group", "aria-label": "filters" });
    for (const [name, options] of Object.entries(choices(data))) {
      const value = now.get(name) ?? "";
      if (options.length < 2 && !value) continue;
      group.append(select(name, name, [["", "any"], ...options], value, (to) => change({ [name]: to })));
    }
    return group;
  }

  /** `4 shown, 18 hidden by filters · clear`, or nothing without filters.
   * @param {URLSearchParams} now @param {number} shown @param {number} hidden
   * @param {(changes: { [name: string]: string | null }) => void} change */
  function note(now, shown, hidden, change) {
    if (!NAMES.some((name) => now.get(name))) return [];
    const clear = () => change(Object.fromEntries(NAMES.map((name) => [name, null])));
    return [
      `${shown.toLocaleString("en")} shown, `,
      el("b", { text: `${hidden.toLocaleString("en")} hidden` }),
      " by filters · ",
      el("button", { type: "button", class: "link", name: "clear", text: "clear", onclick: clear }),
    ];
  }

  kiln.filters = { passes, bar, note, select };

  /** The lists of the overview: their rows are there without scripts, the filters are not.
   * @param {HTMLElement} page */
  async function lists(page) {
    const rows = /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll("tr[data-node]"));
    if (rows.length < 2) return;
    await kiln.need("data/graph.js", () => window.__KILN !== undefined);
    const data = window.__KILN;
    if (!data) return;
    const bars = el("div", { class: "graph-bar list-bar" });
    const line = el("p", { class: "graph-note", role: "status" });
    page.querySelector("section.layer")?.before(bars, line);
    const sections = [...page.querySelectorAll("section.layer")].map((section) => ({
      section: /** @type {HTMLElement} */ (section),
      count: section.querySelector(".count"),
      rows: /** @type {HTMLElement[]} */ ([...section.querySelectorAll("tr[data-node]")]),
    }));
    /** @param {{ [name: string]: string | null }} changes */
    const change = (changes) => {
      const next = kiln.state();
      for (const [name, value] of Object.entries(changes)) {
        if (value) next.set(name, value);
        else next.delete(name);
      }
      kiln.go(next);
    };
    const show = () => {
      if (page.offsetParent === null && page.getClientRects().length === 0) return;
      const now = kiln.state();
      const keep = passes(data, now);
      let shown = 0;
      for (const { section, count, rows } of sections) {
        const seen = rows.filter((row) => (row.hidden = !keep(Number(row.dataset.node))) === false).length;
        section.hidden = seen === 0 && NAMES.some((name) => now.get(name));
        if (count) count.textContent = String(seen);
        shown += seen;
      }
      const active = document.activeElement instanceof HTMLElement && bars.contains(document.activeElement) ? document.activeElement.getAttribute("name") : null;
      bars.replaceChildren(bar(data, now, change));
      if (active) /** @type {HTMLElement | null} */ (bars.querySelector(`[name="${active}"]`))?.focus();
      line.replaceChildren(...note(now, shown, rows.length - shown, change));
      line.hidden = !line.childNodes.length;
    };
    kiln.on("page", show);
    addEventListener("popstate", show);
    show();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const page = /** @type {HTMLElement | null} */ (document.querySelector('.page[data-path="index.html"]'));
    if (page) void lists(page);
  });
})();
