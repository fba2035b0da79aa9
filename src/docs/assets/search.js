// Search: names, columns, tests, and the words of descriptions. Its data is loaded when somebody first asks.
(() => {
  "use strict";
  const kiln = window.kiln;
  const MOST = 12;

  /** @typedef {{ kind: string, name: string, of: string, url: string, anchor: string, status: string, note: string,
   *   text: string }} Entry */

  // Tens of thousands of columns: only what is compared is kept for each, the rest is made for what is shown.
  /** @type {string[]} */
  const names = [];
  /** @type {string[]} */
  const words = [];
  /** The folded name of the node that a column or test is of. @type {string[]} */
  const parents = [];
  /** @type {Uint8Array} */
  let weights = new Uint8Array(0);
  /** Nodes, then columns, then tests. @type {(at: number) => Entry} */
  let entryOf = () => ({ kind: "", name: "", of: "", url: "", anchor: "", status: "", note: "", text: "" });
  /** @type {Map<string, string>} */
  const signs = new Map([["failed", "✗"], ["broken", "⚠"], ["stale", "◷"], ["warned", "!"], ["ok", "✓"]]);

  async function load() {
    if (names.length) return;
    await kiln.need("data/search.js", () => window.__KILN_SEARCH !== undefined);
    const data = window.__KILN_SEARCH;
    if (!data || names.length) return;
    const { nodes, columns, tests } = data;
    weights = new Uint8Array(nodes.length + columns.length + tests.length);
    /** @type {Map<string, string>} */
    const folded = new Map();
    const fold = (/** @type {string} */ text) => {
      let found = folded.get(text);
      if (found === undefined) folded.set(text, (found = kiln.fold(text)));
      return found;
    };
    for (const node of nodes) {
      weights[names.length] = 3;
      names.push(kiln.fold(node[1]));
      words.push(kiln.fold(node[5]));
      parents.push("");
    }
    for (const column of columns) {
      weights[names.length] = 2;
      names.push(fold(column[1]));
      words.push(column[3] && kiln.fold(column[3]));
      parents.push(names[column[0]]);
    }
    for (const test of tests) {
      weights[names.length] = 1;
      names.push(kiln.fold(test[1]));
      words.push("");
      parents.push(names[test[0]]);
    }
    entryOf = (at) => {
      if (at < nodes.length) {
        const [kind, name, url, layer, status, text] = nodes[at];
        const note = layer && layer !== "none" && !layer.startsWith(kind) ? `${kind} · ${layer}` : kind;
        return { kind, name, of: "", url, anchor: "", status, note, text };
      }
      if (at < nodes.length + columns.length) {
        const [node, name, type, text, position] = columns[at - nodes.length];
        return { kind: "column", name, of: nodes[node][1], url: nodes[node][2], anchor: `c${position}`, status: "", note: type.toLowerCase(), text };
      }
      const [node, name, place] = tests[at - nodes.length - columns.length];
      return { kind: "test", name, of: nodes[node][1], url: nodes[node][2], anchor: `t${place}`, status: "", note: "", text: "" };
    };
  }

  /** `orders.amount` names a column of a model.
   * @param {string} query */
  const wordsOf = (query) => kiln.fold(query).split(/[\s.]+/).filter(Boolean);

  const LETTER = /[\p{L}\p{N}]/u;

  /** How well one word fits: its whole name, its start, the start of a part of it, anywhere in it, the description.
   * @param {string} name @param {string} text @param {string} word */
  function fits(name, text, word) {
    const at = name.indexOf(word);
    if (at === 0) return name.length === word.length ? 100 : 70;
    if (at > 0) return LETTER.test(name[at - 1]) ? 35 : 55;
    const there = text ? text.indexOf(word) : -1;
    if (there < 0) return 0;
    const starts = there === 0 || !LETTER.test(text[there - 1]);
    const ends = !LETTER.test(text[there + word.length] ?? " ");
    return starts ? (ends ? 30 : 22) : 8;
  }

  /** The best of what fits: every word must fit the name, the node that a column is of, or the description.
   * @param {string} query @param {number} most */
  function find(query, most) {
    const asked = wordsOf(query);
    const whole = kiln.fold(query).trim();
    /** @type {{ at: number, score: number }[]} */
    const best = [];
    let count = 0;
    for (let at = 0; at < (asked.length ? names.length : 0); at++) {
      const name = names[at];
      let score = 0;
      let own = 0;
      for (const word of asked) {
        const fit = fits(name, words[at], word);
        if (fit > own) own = fit;
        if (fit) score += fit;
        else if (asked.length > 1 && parents[at].includes(word)) score += 25;
        else {
          score = 0;
          break;
        }
      }
      if (!score || !own) continue;
      count++;
      if (name === whole) score += 200;
      score = (score / asked.length) * 10 + weights[at] - Math.min(9, name.length / 20);
      const last = best[most - 1];
      if (last && last.score >= score) continue;
      let place = Math.min(best.length, most - 1);
      for (; place > 0 && best[place - 1].score < score; place--) best[place] = best[place - 1];
      best[place] = { at, score };
    }
    return { best: best.map((one) => entryOf(one.at)), count, words: asked };
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
    for (let at = 0; at < names.length; at++) {
      if (near(word, names[at])) return entryOf(at).name;
      for (const part of names[at].split(/[^\p{L}\p{N}]+/u)) if (part.length > 3 && near(word, part)) return part;
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
    const [name, text] = [kiln.fold(entry.name), kiln.fold(entry.text)];
    const missing = words.filter((word) => !name.includes(word) && text.includes(word));
    const at = missing.length ? text.indexOf(missing[0]) : 0;
    const from = at > 50 ? entry.text.lastIndexOf(" ", at - 30) + 1 : 0;
    const part = (from ? "… " : "") + entry.text.slice(from, from + 110).trim() + (entry.text.length > from + 110 ? " …" : "");
    const line = marked(part, missing);
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
