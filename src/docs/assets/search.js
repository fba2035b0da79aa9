// Search: names, columns, tests, and the words of descriptions. Its data is loaded when somebody first asks.
(() => {
  "use strict";
  const kiln = window.kiln;
  const MOST = 12;

  /** @typedef {{ kind: string, name: string, of: string, url: string, anchor: string, status: string, note: string,
   *   folded: string, words: string, weight: number }} Entry */

  /** @type {Entry[]} */
  let entries = [];
  /** @type {Map<string, string>} */
  const signs = new Map([["failed", "✗"], ["broken", "✗"], ["stale", "◷"], ["warned", "!"], ["ok", "✓"]]);

  async function load() {
    if (entries.length) return;
    await kiln.need("data/search.js", () => window.__KILN_SEARCH !== undefined);
    const data = window.__KILN_SEARCH;
    if (!data || entries.length) return;
    for (const [kind, name, url, layer, status, text] of data.nodes) {
      const note = layer && layer !== "none" && !layer.startsWith(kind) ? `${kind} · ${layer}` : kind;
      entries.push({ kind, name, of: "", url, anchor: "", status, note, folded: kiln.fold(name), words: kiln.fold(text), weight: 3 });
    }
    for (const [node, name, type, text, position] of data.columns) {
      const [, of, url] = data.nodes[node];
      entries.push({ kind: "column", name, of, url, anchor: `c${position}`, status: "", note: type.toLowerCase(), folded: kiln.fold(name), words: kiln.fold(text), weight: 2 });
    }
    for (const [node, name, place] of data.tests) {
      const [, of, url] = data.nodes[node];
      entries.push({ kind: "test", name, of, url, anchor: `t${place}`, status: "", note: "test", folded: kiln.fold(name), words: "", weight: 1 });
    }
  }

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

  /** Every word must fit the name, the model that a column is of, or the description.
   * @param {string} query */
  function find(query) {
    // `orders.amount` names a column of a model.
    const words = kiln.fold(query).split(/[\s.]+/).filter(Boolean);
    const whole = kiln.fold(query).trim();
    /** @type {{ entry: Entry, score: number }[]} */
    const found = [];
    if (!words.length) return found;
    for (const entry of entries) {
      let score = 0;
      let own = 0;
      for (const word of words) {
        const fit = fits(entry, word);
        if (fit > own) own = fit;
        if (fit) score += fit;
        else if (words.length > 1 && entry.of && kiln.fold(entry.of).includes(word)) score += 25;
        else {
          score = 0;
          break;
        }
      }
      if (!score || !own) continue;
      if (entry.folded === whole) score += 200;
      score = (score / words.length) * 10 + entry.weight - Math.min(9, entry.folded.length / 20);
      if (found.length < 200 || score > found[found.length - 1].score) found.push({ entry, score });
    }
    return found.sort((a, b) => b.score - a.score || a.entry.name.length - b.entry.name.length || (a.entry.name < b.entry.name ? -1 : 1));
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

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("search");
    const input = /** @type {HTMLInputElement | null} */ (document.getElementById("q"));
    const list = document.getElementById("found");
    if (!form || !input || !list) return;
    let at = -1;
    let asked = 0;

    const close = () => {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
      at = -1;
    };

    /** @param {number} to */
    const choose = (to) => {
      const options = list.querySelectorAll("[role=option]");
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
        list.replaceChildren(kiln.el("p", { class: "found-none", text: "the index of this site cannot be loaded" }));
        list.hidden = false;
        return;
      }
      if (mine !== asked) return;
      const found = find(query);
      const words = kiln.fold(query).split(/[\s.]+/).filter(Boolean);
      const options = found.slice(0, MOST).map(({ entry }, place) => {
        const sign = signs.get(entry.status);
        return kiln.el(
          "a",
          { class: "found-one", role: "option", id: `found-${place}`, href: kiln.href(entry.url, entry.anchor), tabindex: "-1", "aria-selected": "false" },
          kiln.el("span", { class: `kind kind-${entry.kind}`, text: entry.kind }),
          kiln.el("span", { class: "found-what" }, marked(entry.name, words), entry.of ? kiln.el("span", { class: "found-of", text: ` in ${entry.of}` }) : undefined),
          kiln.el("span", { class: "found-note" }, sign ? kiln.el("span", { class: `sign status-${entry.status}`, text: `${sign} ` }) : undefined, entry.kind === "test" ? "" : entry.note),
        );
      });
      if (options.length) {
        const rest = found.length - options.length;
        list.replaceChildren(...options);
        if (rest > 0) list.append(kiln.el("p", { class: "found-more", text: `${found.length < 200 ? rest : "many"} more: type another word`, role: "presentation" }));
        kiln.say(`${found.length} found`);
      } else {
        const near = meant(query);
        const none = kiln.el("p", { class: "found-none" }, `no results for “${query.trim()}”`);
        if (near) {
          const retry = () => {
            input.value = near;
            input.focus();
            void show();
          };
          none.append(", did you mean ", kiln.el("button", { type: "button", class: "link", text: near, onclick: retry }), "?");
        }
        list.replaceChildren(none);
        kiln.say("no results");
      }
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      at = -1;
      if (options.length) choose(0);
    };

    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const options = list.querySelectorAll("a");
      const link = options[Math.max(0, at)];
      if (link && !list.hidden) {
        close();
        input.blur();
        link.click();
      }
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
        event.stopPropagation();
        if (list.hidden && !input.value) input.blur();
        input.value = "";
        close();
      }
    });
    list.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("a")) close();
    });
    document.addEventListener("click", (event) => {
      if (event.target instanceof Node && !form.contains(event.target)) close();
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLElement && event.target.closest("input, select, textarea, [contenteditable]");
      const wanted = (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) || (event.key === "k" && (event.ctrlKey || event.metaKey));
      if (!wanted) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
  });
})();
