// 11: everything can be reached and read without a mouse.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileHome, graphOf, quiet, stop, visit } from "./lib.mjs";

after(stop);

test("search, a model, its graph, up, down, open, and back", async () => {
  const graph = graphOf("shop");
  const page = await visit(fileHome("shop"));
  const active = () =>
    page.evaluate(() => {
      const element = /** @type {Element} */ (document.activeElement);
      const style = getComputedStyle(element);
      const shape = element.querySelector(".card-shape");
      return {
        name: element.getAttribute("aria-label") ?? element.textContent ?? "",
        role: element.getAttribute("role") ?? element.tagName.toLowerCase(),
        id: element.getAttribute("data-id"),
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 ? style.outlineColor : shape && Number.parseFloat(getComputedStyle(shape).strokeWidth) >= 3 ? getComputedStyle(shape).stroke : "",
      };
    });
  await page.goto(`${fileHome("shop")}index.html`);
  await page.keyboard.press("Tab");
  assert.match((await active()).name, /skip/i);
  assert.ok((await active()).ring);
  await page.keyboard.press("/");
  await page.keyboard.type("curated_orders");
  await page.locator("#found-list [aria-selected=true]").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/m/curated_orders.html");
  // To the graph by its link: Tab reaches it.
  for (let at = 0; at < 80; at++) {
    await page.keyboard.press("Tab");
    const now = await active();
    assert.ok(now.ring, `the focus on ${now.name} cannot be seen`);
    if (/draw it/.test(now.name)) break;
  }
  await page.keyboard.press("Enter");
  await page.waitForURL(/graph\.html#\?focus=/);
  await page.locator("#graph .box.focus").waitFor();
  for (let at = 0; at < 60; at++) {
    await page.keyboard.press("Tab");
    if ((await active()).id) break;
  }
  const start = await active();
  assert.equal(start.id, "model.shop.curated_orders");
  assert.equal(start.role, "button");
  assert.match(start.name, /^curated_orders ! warned · table · .* model, curated, warned, .* 2 upstream, 5 downstream$/);
  assert.ok(start.ring);
  await page.keyboard.press("ArrowLeft");
  const up = await active();
  assert.equal(up.id, "model.shop.raw_orders");
  assert.ok(up.ring);
  await page.keyboard.press("ArrowRight");
  assert.equal((await active()).id, "model.shop.curated_orders");
  await page.keyboard.press("ArrowRight");
  const down = await active();
  const number = (/** @type {string | null} */ id) => graph.nodes.findIndex((/** @type {any} */ node) => node.id === id);
  assert.ok(graph.edges.some((/** @type {number[]} */ edge) => edge[0] === number(start.id) && edge[1] === number(down.id)));
  await page.keyboard.press("ArrowDown");
  const beside = await active();
  assert.notEqual(beside.id, down.id);
  const address = page.url();
  await page.keyboard.press("Enter");
  const name = graph.nodes[number(beside.id)].name;
  await page.waitForURL(`**/m/${name}.html`);
  assert.equal(await page.locator("h1").innerText(), name);
  await page.keyboard.press("Escape");
  await page.waitForURL(address);
  await page.locator("#graph .box.focus").waitFor();
  await page.waitForFunction((id) => document.activeElement?.getAttribute("data-id") === id, beside.id);
  await page.context().close();
  quiet(page);
});

test("a graph too large for elements is walked all the same", async () => {
  const page = await visit(fileHome("large"));
  await page.goto(`${fileHome("large")}graph.html#?view=all`);
  await page.locator(".proxy").waitFor();
  await page.locator(".proxy").focus();
  const label = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
  const first = await label();
  assert.match(first, / · .*, (source|model|seed), .*upstream, \d+ downstream/);
  await page.keyboard.press("ArrowRight");
  const second = await label();
  assert.notEqual(second, first);
  await page.locator(".graph-panel h2", { hasText: second.split(",")[0] }).waitFor();
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: second.split(",")[0] }).waitFor();
  await page.context().close();
  quiet(page);
});
