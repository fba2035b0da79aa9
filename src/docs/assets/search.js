// Search: names, columns, tests, and the words of descriptions. Its data is loaded when somebody first asks.
(() => {
  "use strict";
  const kiln = window.kiln;
  const MOST = 12;

  /** @typedef {{ kind: string, name: string, of: string, url: string, anchor: string, status: string, note: string,
   *   folded: string, parent: string, text: string, words: string, weight: number }} Entry */

  /** @type {Entry[]} */
  let entries = [];
  /** @type {Map<string, string>} */
  const signs = new Map([["failed", "✗"], ["broken", "✗"], ["stale", "◷"], ["warned", "!"], ["ok", "✓"]]);

  async function load() {
    if (entries.length) return;
    await kiln.need("data/search.js", () => window.__KILN_SEARCH !== undefined);
    const data = window.__KILN_SEARCH;
    if (!data || entries.length) return;
    const parents = data.nodes.map((node) => kiln.fold(node[1]));
    for (const [kind, name, url, layer, status, text] of data.nodes) {
      const note = layer && layer !== "none" && !layer.startsWith(kind) ? `${kind} · ${layer}` : kind;
      entries.push({ kind, name, of: "", url, anchor: "", status, note, folded: kiln.fold(name), parent: "", text, words: kiln.fold(text), weight: 3 });
    }
    for (const [node, name, type, text, position] of data.columns) {
      const [, of, url] = data.nodes[node];
      entries.push({ kind: "column", name, of, url, anchor: `c${position}`, status: "", note: type.toLowerCase(), folded: kiln.fold(name), parent: parents[node], text, words: text && kiln.fold(text), weight: 2 });
    }
    for (const [node, name, place] of data.tests) {
      const [, of, url] = data.nodes[node];
      entries.push({ kind: "test", name, of, url, anchor: `t${place}`, status: "", note: "test", folded: kiln.fold(name), parent: parents[node], text: "", words: "", weight: 1 });
    }
  }

  /** `orders.amount` names a column of a model.
   * @param {string} query */
  const wordsOf = (query) => kiln.fold(query).split(/[\s.]+/).filter(Boolean);

  /** How well one word fits: its whole name, its start, the start of a part of it, anywhere in it, the description.
   * @param {Entry} entry @param {string} word */
  function fits(entry, word) {
    const at = entry.folded.indexOf(word);
    if (at === 0) return entry.folded.length === word.length ? 100 : 70;
    if (at > 0) return /[\p{L}\p{N}]/u.test(entry.folded[at - 1]) ? 35 : 55;
    const there = entry.words.indexOf(word);
    if (there < 0) return 0;
    const starts = there === 0 || !/[\p{L}\p{N}]/u.test(entry.words[there - 1]);
    const ends = !/[\p{L}\p{N}]/u.test(entry.words[there + word.length] ?? " ");
    return starts ? (ends ? 30 : 22) : 8;
  }

  /** The best of what fits: every word must fit the name, the model that a column is of, or the description.
   * @param {string} query @param {number} most */
  function find(query, most) {
    const words = wordsOf(query);
    const whole = kiln.fold(query).trim();
    /** @type {{ entry: Entry, score: number }[]} */
    const best = [];
    let count = 0;
    for (const entry of words.length ? entries : []) {
      let score = 0;
      let own = 0;
      for (const word of words) {
        const fit = fits(entry, word);
        if (fit > own) own = fit;
        if (fit) score += fit;
        else if (words.length > 1 && entry.parent.includes(word)) score += 25;
        else {
          score = 0;
          break;
        }
      }
      if (!score || !own) continue;
      count++;
      if (entry.folded === whole) score += 200;
      score = (score / words.length) * 10 + entry.weight - Math.min(9, entry.folded.length / 20);
      const last = best[most - 1];
      if (last && last.score >= score) continue;
      let at = Math.min(best.length, most - 1);
      for (; at > 0 && best[at - 1].score < score; at--) best[at] = best[at - 1];
      best[at] = { entry, score };
    }
    return { best: best.map((one) => one.entry), count, words };
  }

  /** One letter wrong, missing, more, or two swapped.
   * @param {string} a @param {string} b */
  function near(a, b) {
    if (Math.abs(a.length - b.length) > 1 || a === b) return false;
    let start = 0;
    while (start < a.length && a[start] === b[start]) start++;
    let end = 0;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
    const [left, right] = [a.length - start - end, b.length - start - end];
    if (left <= 1 && right <= 1) return true;
    return left === 2 && right === 2 && a[start] === b[start + 1] && a[start + 1] === b[start];
  }

  /** The nearest name for a word that is nowhere: it may be a slip of a finger.
   * @param {string} query */
  function meant(query) {
    const word = kiln.fold(query).trim();
    if (word.length < 4) return undefined;
    for (const entry of entries) {
      if (near(word, entry.folded)) return entry.name;
      for (const part of entry.folded.split(/[^\p{L}\p{N}]+/u)) if (part.length > 3 && near(word, part)) return part;
    }
    return undefined;
  }

  /** The text with the words that were asked for marked.
   * @param {string} text @param {string[]} words */
  function marked(text, words) {
    const folded = kiln.fold(text);
    const span = kiln.el("span", { class: "found-name" });
    let best = { at: -1, length: 0 };
    // Folding may change the length of a text; then nothing is marked.
    if (folded.length === text.length) {
      for (const word of words) {
        const at = folded.indexOf(word);
        if (at >= 0 && word.length > best.length) best = { at, length: word.length };
      }
    }
    if (best.at < 0) span.append(text);
    else span.append(text.slice(0, best.at), kiln.el("mark", { text: text.slice(best.at, best.at + best.length) }), text.slice(best.at + best.length));
    return span;
  }

  /** The part of a description around the first word that was asked for.
   * @param {Entry} entry @param {string[]} words */
  function around(entry, words) {
    if (!entry.text) return undefined;
    const missing = words.filter((word) => !entry.folded.includes(word) && entry.words.includes(word));
    const at = missing.length ? entry.words.indexOf(missing[0]) : 0;
    const from = at > 50 ? entry.text.lastIndexOf(" ", at - 30) + 1 : 0;
    const text = (from ? "… " : "") + entry.text.slice(from, from + 110).trim() + (entry.text.length > from + 110 ? " …" : "");
    const line = marked(text, missing);
    line.className = "found-text";
    return line;
  }

  /** @param {Entry} entry @param {string[]} words @param {{ [name: string]: string }} props */
  function link(entry, words, props) {
    const sign = signs.get(entry.status);
    const what = kiln.el("span", { class: "found-what" }, marked(entry.name, words));
    if (entry.of) what.append(kiln.el("span", { class: "found-of", text: ` in ${entry.of}` }));
    const text = around(entry, words);
    if (text) what.append(text);
    const note = kiln.el("span", { class: "found-note" });
    if (sign) note.append(kiln.el("span", { class: `sign status-${entry.status}`, "aria-label": entry.status, role: "img", text: sign }), " ");
    if (entry.kind !== "test") note.append(entry.note);
    return kiln.el("a", { class: "found-one", href: kiln.href(entry.url, entry.anchor), ...props }, kiln.el("span", { class: "kind", text: entry.kind }), what, note);
  }

  /** @param {string} query @param {(other: string) => void} retry */
  function nothing(query, retry) {
    const none = kiln.el("p", { class: "found-none" }, `no results for “${query.trim()}”`);
    const near = meant(query);
    if (near) none.append(", did you mean ", kiln.el("button", { type: "button", class: "link", text: near, onclick: () => retry(near) }), "?");
    return none;
  }

  /** The field in the header and the list below it. */
  function field() {
    const form = document.getElementById("search");
    const input = /** @type {HTMLInputElement | null} */ (document.getElementById("q"));
    const box = document.getElementById("found");
    if (!form || !input || !box) return;
    const list = kiln.el("div", { id: "found-list", role: "listbox", "aria-label": "found" });
    const below = kiln.el("div");
    box.removeAttribute("role");
    box.removeAttribute("aria-label");
    box.replaceChildren(list, below);
    input.setAttribute("aria-controls", "found-list");
    let at = -1;
    let asked = 0;

    const close = () => {
      box.hidden = true;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
      at = -1;
    };

    /** @param {number} to */
    const choose = (to) => {
      const options = [...list.children];
      if (!options.length) return;
      at = (to + options.length) % options.length;
      options.forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
      input.setAttribute("aria-activedescendant", options[at].id);
      options[at].scrollIntoView({ block: "nearest" });
    };

    const show = async () => {
      const query = input.value;
      const mine = ++asked;
      if (!query.trim()) return close();
      try {
        await load();
      } catch {
        list.replaceChildren();
        list.hidden = true;
        below.replaceChildren(kiln.el("p", { class: "found-none", text: "the index of this site cannot be loaded" }));
        box.hidden = false;
        return;
      }
      if (mine !== asked) return;
      const { best, count, words } = find(query, MOST);
      list.replaceChildren(...best.map((entry, place) => link(entry, words, { role: "option", id: `found-${place}`, tabindex: "-1", "aria-selected": "false" })));
      list.hidden = !best.length;
      if (!best.length) {
        const retry = (/** @type {string} */ other) => {
          input.value = other;
          input.focus();
          void show();
        };
        below.replaceChildren(nothing(query, retry));
        kiln.say("no results");
      } else {
        const all = `${kiln.href("search.html")}${kiln.single ? "" : "#"}?${new URLSearchParams({ q: query.trim() })}`;
        below.replaceChildren(...(count > best.length ? [kiln.el("p", { class: "found-more" }, kiln.el("a", { href: all, text: `all ${count.toLocaleString("en")} results` }))] : []));
        kiln.say(`${count} found`);
      }
      box.hidden = false;
      input.setAttribute("aria-expanded", "true");
      at = -1;
      choose(0);
    };

    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      // Enter may come before the index is there.
      if (box.hidden) await show();
      const option = /** @type {HTMLElement | undefined} */ (list.children[Math.max(0, at)]);
      if (!option || box.hidden) return;
      close();
      input.blur();
      option.click();
    });
    input.addEventListener("input", () => void show());
    input.addEventListener("focus", () => {
      // Loaded while the first word is typed.
      load().catch(() => undefined);
      if (input.value) void show();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        choose(at + (event.key === "ArrowDown" ? 1 : -1));
      } else if (event.key === "Escape") {
        event.preventDefault();
        if (box.hidden && !input.value) input.blur();
        input.value = "";
        close();
      }
    });
    box.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("a")) close();
    });
    document.addEventListener("click", (event) => {
      // What was pressed may be gone from the page by now.
      if (!event.composedPath().includes(form)) close();
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLElement && event.target.closest("input, select, textarea, [contenteditable]");
      const wanted = (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) || (event.key === "k" && (event.ctrlKey || event.metaKey));
      if (!wanted) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
  }

  /** The page with all that was found. */
  function page() {
    const host = document.getElementById("search-page");
    if (!host) return;
    const input = /** @type {HTMLInputElement} */ (kiln.el("input", { type: "search", "aria-label": "search for", placeholder: "a model, a column, a word of a description", autocomplete: "off", spellcheck: "false" }));
    const line = kiln.el("p", { class: "graph-note", role: "status" });
    const list = kiln.el("ul", { class: "found-all" });
    host.append(kiln.el("div", { class: "search" }, input), line, list);
    const show = async () => {
      if (host.getClientRects().length === 0) return;
      const query = kiln.state().get("q") ?? "";
      if (input.value.trim() !== query) input.value = query;
      if (!query) {
        line.textContent = "";
        list.replaceChildren();
        return;
      }
      await load();
      const { best, count, words } = find(query, 200);
      const retry = (/** @type {string} */ other) => kiln.go(new URLSearchParams({ q: other }));
      line.replaceChildren(count ? `${count.toLocaleString("en")} found${count > best.length ? `, the best ${best.length} are shown` : ""}` : nothing(query, retry));
      list.replaceChildren(...best.map((entry) => kiln.el("li", {}, link(entry, words, {}))));
    };
    input.addEventListener("input", () => kiln.go(new URLSearchParams(input.value.trim() ? { q: input.value.trim() } : {}), true));
    kiln.on("page", () => void show());
    addEventListener("popstate", () => void show());
    void show();
  }

  document.addEventListener("DOMContentLoaded", () => {
    field();
    page();
  });
})();
