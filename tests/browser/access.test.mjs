// 12: nothing serious for axe in both schemes; the scheme is the system's or the chosen one, and never flashes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { fileHome, openGraph, quiet, stop, visit } from "./lib.mjs";

after(stop);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** @param {import("playwright-core").Page} page */
async function examine(page) {
  const found = await page.evaluate(async (source) => {
    const at = /** @type {any} */ (window);
    if (!at.axe) new Function(source).call(at);
    const results = await at.axe.run(document, { resultTypes: ["violations"], preload: false });
    return results.violations
      .filter((/** @type {any} */ one) => ["serious", "critical"].includes(one.impact))
      .map((/** @type {any} */ one) => `${one.id}: ${one.nodes.slice(0, 4).map((/** @type {any} */ node) => `${node.target} ${node.any?.[0]?.message ?? ""}`).join(" | ")}`);
  }, axe);
  return found;
}

for (const scheme of /** @type {("light" | "dark")[]} */ (["light", "dark"])) {
  test(`axe finds nothing serious in ${scheme}`, async () => {
    const home = fileHome("ill");
    const page = await visit(home, { colorScheme: scheme, bypassCSP: true });
    const pages = ["index.html", "m/curated_orders.html", "m/funnel_by_day.html", "s/shop_api.payments.html", "c/revenue_dashboard.html", "releases.html", "search.html#?q=order", "graph.html", "graph.html#?focus=curated_orders", "graph.html#?focus=curated_orders&column=customer_id&influence=1", "graph.html#?by=folder"];
    for (const path of pages) {
      if (path.startsWith("graph")) await openGraph(page, home + path);
      else await page.goto(home + path);
      if (path.includes("column")) await page.locator(".reach-up").waitFor({ state: "attached" });
      if (path.includes("q=")) await page.locator(".found-all li").first().waitFor();
      if (path.includes("/")) await page.locator(".lineage").scrollIntoViewIfNeeded();
      assert.deepEqual(await examine(page), [], path);
    }
    await page.goto(`${home}index.html`);
    await page.keyboard.press("/");
    await page.keyboard.type("order");
    await page.locator("#found-list a").first().waitFor();
    assert.deepEqual(await examine(page), [], "the list below the search");
    await page.context().close();
    quiet(page);
  });
}

/** @param {import("playwright-core").Page} page */
const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

test("the scheme follows the system until one is chosen, and what is chosen stays", async () => {
  const home = fileHome("shop");
  const [light, dark] = await Promise.all([visit(home, { colorScheme: "light" }), visit(home, { colorScheme: "dark" })]);
  await Promise.all([light.goto(`${home}index.html`), dark.goto(`${home}index.html`)]);
  const [bright, dim] = [await background(light), await background(dark)];
  assert.notEqual(bright, dim);
  // The first colour that is painted is looked for in the first frame, before the page's own scripts are done.
  await light.addInitScript(() => {
    /** @type {string[]} */
    const seen = (/** @type {any} */ (window).seen = []);
    const look = () => {
      if (document.body) seen.push(getComputedStyle(document.body).backgroundColor);
      if (seen.length < 8) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await light.locator("#theme").click();
  assert.match((await light.locator("#theme").getAttribute("aria-label")) ?? "", /light/);
  await light.locator("#theme").click();
  assert.equal(await background(light), dim);
  for (const path of ["index.html", "m/curated_orders.html", "graph.html"]) {
    await light.goto(home + path);
    await light.waitForFunction(() => /** @type {any} */ (window).seen.length >= 8);
    assert.deepEqual([...new Set(await light.evaluate(() => /** @type {any} */ (window).seen))], [dim], path);
  }
  // The drawing changes with the scheme.
  const card = () => light.locator("#graph .card-shape").first().getAttribute("fill");
  await light.locator("#graph .box").first().waitFor();
  const before = await card();
  await light.locator("#theme").click();
  await light.waitForFunction((was) => document.querySelector("#graph .card-shape")?.getAttribute("fill") !== was, before);
  assert.equal(await background(light), bright);
  await dark.emulateMedia({ colorScheme: "light" });
  assert.equal(await background(dark), bright);
  for (const page of [light, dark]) {
    await page.context().close();
    quiet(page);
  }
});

test("reduced motion stops what moves", async () => {
  const moving = async (/** @type {"reduce" | "no-preference"} */ reducedMotion) => {
    const page = await visit(fileHome("shop"), { reducedMotion });
    await openGraph(page, `${fileHome("shop")}graph.html`);
    const count = await page.evaluate(
      () =>
        [...document.querySelectorAll("*")].filter((element) => {
          const style = getComputedStyle(element);
          const long = (/** @type {string} */ times) => times.split(",").some((time) => Number.parseFloat(time) > 0);
          return long(style.transitionDuration) || (style.animationName !== "none" && long(style.animationDuration)) || style.scrollBehavior === "smooth";
        }).length,
    );
    await page.context().close();
    quiet(page);
    return count;
  };
  assert.equal(await moving("reduce"), 0);
  assert.ok((await moving("no-preference")) > 0);
});
