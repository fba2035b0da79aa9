// 3: what is typed is found among the first three within a tenth of a second.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually, fileHome, graphOf, inTime, quiet, serve, stop, visit } from "./lib.mjs";

after(stop);

/** Types and says how long after the last key something is found.
 * @param {import("playwright-core").Page} page @param {string} word */
async function ask(page, word) {
  await page.locator("#q").fill("");
  await page.keyboard.type(word.slice(0, -1), { delay: 30 });
  // What the keys before it found is not what the last one is measured by.
  await page.locator("#found-list a, .found-none").first().waitFor();
  await page.evaluate(() => {
    const list = /** @type {HTMLElement} */ (document.getElementById("found"));
    const at = /** @type {any} */ (window);
    at.took = undefined;
    document.getElementById("q")?.addEventListener("keydown", () => {
      const started = performance.now();
      new MutationObserver((_, watcher) => {
        watcher.disconnect();
        requestAnimationFrame(() => (at.took = performance.now() - started));
      }).observe(list, { childList: true, subtree: true, characterData: true });
    }, { once: true });
  });
  await page.keyboard.type(word.slice(-1));
  await page.waitForFunction(() => /** @type {any} */ (window).took !== undefined);
  return page.evaluate(() => /** @type {any} */ (window).took);
}

/** The first three of what is found.
 * @param {import("playwright-core").Page} page */
async function firstThree(page) {
  const links = await page.locator("#found-list a").evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""));
  return links.slice(0, 3);
}

/** @type {[string, [string, string][]][]} */
const CASES = [
  [
    "shop",
    [
      ["curated_orders", "m/curated_orders.html"],
      ["went_to_checkout", "m/funnel_by_day.html#c"],
      ["revenue_by_day.revenue", "m/revenue_by_day.html#c"],
      // Only in the description of a column, and of a consumer.
      ["cancelled nor", "#c"],
      ["monday", "c/revenue_dashboard.html"],
    ],
  ],
  [
    "large",
    [
      ["cur_crm_1002", "m/cur_crm_1002.html"],
      ["mart_finance_313.v5", "m/mart_finance_313.html#c"],
      ["zebra2417", "m/cur_risk_2417.html#c"],
    ],
  ],
];

for (const [name, cases] of CASES) {
  test(`${name}: names, columns and words of descriptions`, async () => {
    const page = await visit(fileHome(name));
    await page.goto(`${fileHome(name)}index.html`);
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "q");
    for (const [word, wanted] of cases) {
      await inTime(page, async (slowly) => {
        const took = await ask(page, word);
        await eventually(async () => {
          const links = await firstThree(page);
          assert.ok(links.some((link) => link.includes(wanted)), `${word}: ${links.join(" ")}`);
        });
        const slow = await slowly();
        return took <= 100 * slow ? undefined : `${word} took ${took.toFixed(0)} ms on a machine ${slow.toFixed(1)} times slower`;
      });
    }
    const [word, wanted] = cases[0];
    await ask(page, word);
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/${wanted}`);
    assert.equal(await page.locator("h1").innerText(), word);
    await page.context().close();
    quiet(page);
  });
}

test("a word that is nowhere, a slip of a finger, and the page of all results", async () => {
  const home = await serve("shop");
  const page = await visit(home);
  await page.goto(home);
  await page.keyboard.press("/");
  await page.keyboard.type("qqxyzzy");
  await page.locator("#found", { hasText: "no results" }).waitFor();
  assert.equal(await page.locator("#found-list a").count(), 0);
  await page.keyboard.press("Enter");
  assert.equal(page.url(), home);
  await page.locator("#q").fill("curated_ordesr");
  await page.getByRole("button", { name: "curated_orders" }).click();
  await page.locator("#found-list a", { hasText: "curated_orders" }).first().waitFor();
  await page.locator("#q").fill("order");
  await page.locator("#found a", { hasText: /^all \d+ results$/ }).click();
  await page.waitForURL(/search\.html#\?q=order$/);
  const count = await page.locator(".found-all li").count();
  assert.ok(count > 12, String(count));
  await page.reload();
  await page.locator(".found-all li").first().waitFor();
  assert.equal(await page.locator(".found-all li").count(), count);
  await page.context().close();
  quiet(page);
});

test("every node of the example is found by its name, first", async () => {
  const page = await visit(fileHome("shop"));
  await page.goto(`${fileHome("shop")}index.html`);
  await page.keyboard.press("/");
  for (const node of graphOf("shop").nodes) {
    await page.locator("#q").fill(node.name);
    await page.locator("#found-list a").first().waitFor();
    await page.waitForFunction((url) => [...document.querySelectorAll("#found-list a")].slice(0, 3).some((link) => link.getAttribute("href") === url), node.url);
  }
  await page.context().close();
  quiet(page);
});
