// What every page needs: addresses, the scheme, copying, filters of lists, and the pages of a single file.
(() => {
  "use strict";
  const page = document.documentElement;
  /** @type {{ [name: string]: (() => void)[] }} */
  const listeners = { page: [], theme: [] };
  /** @type {((part: ParentNode) => void)[]} */
  const dressers = [];
  /** @type {Map<string, Promise<void>>} */
  const loading = new Map();

  const kiln = /** @type {KilnSite} */ (/** @type {any} */ (window.kiln = /** @type {any} */ ({})));
  kiln.root = page.dataset.root ?? "";
  kiln.single = page.dataset.single !== undefined;

  /** An element. Properties that start with `on` are listeners, `text` is its text; what is undefined is left out. */
  kiln.el = (tag, props, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props ?? {})) {
      if (value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "text") element.textContent = value;
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.filter((child) => child !== undefined && child !== null));
    return element;
  };

  kiln.href = (path, anchor) =>
    kiln.single ? `#/${path}${anchor ? `/${anchor}` : ""}` : `${kiln.root}${path}${anchor ? `#${anchor}` : ""}`;

  kiln.state = () => {
    const at = location.hash.indexOf("?");
    return new URLSearchParams(at < 0 ? "" : location.hash.slice(at + 1));
  };

  kiln.go = (state, replace) => {
    const path = kiln.single ? location.hash.slice(1).split("?")[0] : "";
    const query = state.toString();
    const hash = path || query ? `#${path}${query ? `?${query}` : ""}` : "";
    if (hash === location.hash) return;
    const url = location.href.split("#")[0] + hash;
    if (replace) history.replaceState(history.state, "", url);
    else history.pushState(null, "", url);
    for (const then of listeners.page) then();
  };

  kiln.on = (name, then) => listeners[name].push(then);

  kiln.dress = (how) => dressers.push(how);

  /** Data is a script that sets a global, because a page from a folder may neither fetch nor import. */
  kiln.need = (path, ready) => {
    if (ready()) return Promise.resolve();
    let promise = loading.get(path);
    if (!promise) {
      promise = new Promise((done, fail) => {
        const script = kiln.el("script", { src: kiln.root + path, onload: () => done(), onerror: () => fail(new Error(`${path} cannot be loaded`)) });
        document.head.append(script);
      });
      loading.set(path, promise);
    }
    return promise;
  };

  /** Letters without case and marks, so that `Café` is found by `cafe`. */
  kiln.fold = (text) => {
    const low = text.toLowerCase();
    return /^[\0-\x7f]*$/.test(low) ? low : low.normalize("NFKD").replace(/\p{M}/gu, "");
  };

  const live = kiln.el("div", { class: "sr-only", role: "status", "aria-live": "polite" });
  kiln.say = (text) => {
    live.textContent = text;
  };

  function themes() {
    const button = document.getElementById("theme");
    if (!button) return;
    const order = ["system", "light", "dark"];
    const show = () => {
      const now = page.dataset.theme ?? "system";
      button.setAttribute("aria-label", `colour scheme: ${now}`);
      button.setAttribute("title", `colour scheme: ${now}`);
      button.dataset.now = now;
      button.textContent = { system: "◐", light: "☀", dark: "☾" }[now] ?? "◐";
    };
    button.addEventListener("click", () => {
      const next = order[(order.indexOf(page.dataset.theme ?? "system") + 1) % order.length];
      if (next === "system") delete page.dataset.theme;
      else page.dataset.theme = next;
      try {
        if (next === "system") localStorage.removeItem("kiln-theme");
        else localStorage.setItem("kiln-theme", next);
      } catch {
        // Storage may be forbidden: then the choice lasts for this page.
      }
      show();
      kiln.say(`colour scheme: ${next}`);
      for (const then of listeners.theme) then();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const then of listeners.theme) then();
    });
    button.hidden = false;
    show();
  }

  /** A page from a folder is no secure context, so the clipboard may be missing: then a selection is copied.
   * @param {string} text */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = /** @type {HTMLTextAreaElement} */ (kiln.el("textarea", { class: "sr-only", "aria-hidden": "true" }));
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  /** Every piece of SQL gets a button that copies exactly its text. */
  kiln.dress((part) => {
    for (const block of part.querySelectorAll(".sql[data-copy]")) {
      const label = "copy";
      const button = kiln.el("button", { type: "button", class: "copy", text: label, "aria-label": `copy the ${block.getAttribute("data-copy")} SQL` });
      button.addEventListener("click", async () => {
        await copy(block.querySelector("code")?.textContent ?? "");
        button.textContent = "copied";
        kiln.say("copied");
        setTimeout(() => (button.textContent = label), 1500);
      });
      block.append(button);
    }
  });

  /** What scrolls must be reachable with the keyboard. It is measured when it is seen: measuring all of a large page
   * would lay all of it out. */
  kiln.dress((part) => {
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
        else target.removeAttribute("tabindex");
      }
    });
    for (const block of part.querySelectorAll(".wide, pre")) seen.observe(block);
  });

  /** A large single file holds pages as text, because a browser would make some hundred elements of each.
   * @param {string} path */
  function unpack(path) {
    const packed = document.getElementById(`packed:${path}`);
    if (!packed) return null;
    packed.insertAdjacentHTML("afterend", packed.textContent ?? "");
    packed.remove();
    const section = document.getElementById(path);
    // The first page is dressed with the rest of the document.
    if (section && dressed) for (const how of dressers) how(section);
    return section;
  }
  let dressed = false;

  /** A single file holds all pages: the address says which of them is seen. */
  function route() {
    const hash = decodeURIComponent(location.hash);
    if (hash && !hash.startsWith("#/")) return;
    const anchor = hash.slice(1).split("?")[0] || "/index.html";
    const path = anchor.slice(0, anchor.indexOf(".html") + 5);
    const shown = document.getElementById(path) ?? unpack(path) ?? document.getElementById("/index.html");
    const before = document.querySelector(".page.now");
    if (before !== shown) {
      before?.classList.remove("now");
      shown?.classList.add("now");
      document.title = shown?.dataset.title ?? document.title;
      for (const link of document.querySelectorAll(".nav a")) {
        if (link.getAttribute("href") === `#${path}`) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      if (before) for (const then of listeners.page) then();
    }
    const target = anchor === path ? null : document.getElementById(anchor);
    if (target) target.scrollIntoView();
    else if (before !== shown) scrollTo(0, 0);
  }

  document.addEventListener("keydown", (event) => {
    // Whoever came from the graph with Enter goes back with Escape.
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (event.target instanceof HTMLElement && event.target.closest("input, select, textarea")) return;
    try {
      const came = JSON.parse(sessionStorage.getItem("kiln-from") ?? "null");
      if (came && came.to === location.href) history.back();
    } catch {
      // Without storage nothing is known of where somebody came from.
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    document.body.append(live);
    themes();
    document.querySelector(".skip")?.addEventListener("click", (event) => {
      // The hash holds the state of the view.
      event.preventDefault();
      const main = document.getElementById("main");
      main?.setAttribute("tabindex", "-1");
      main?.focus();
    });
    if (kiln.single) {
      addEventListener("hashchange", route);
      route();
    }
    for (const how of dressers) how(document);
    dressed = true;
  });

})();
