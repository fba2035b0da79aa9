// 8 and 10: what failed, is broken or is stale is told apart by words everywhere; filters leave only what they say.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { drawn, eventually, fileHome, graphOf, openGraph, quiet, redrawn, stop, visit } from "./lib.mjs";

after(stop);
const graph = graphOf("ill");
const WORDS = /** @type {{ [key: string]: RegExp }} */ ({ failed: /✗\s*failed/, broken: /⚠\s*contract broken/, stale: /◷\s*stale/ });

test("failed, broken and stale are words in the graph, in the list and on the page", async () => {
  const page = await visit(fileHome("ill"));
  const expected = { curated_payments: "failed", revenue_by_day: "broken", "shop_api.payments": "stale" };
  for (const [name, key] of Object.entries(expected)) {
    const node = graph.nodes.find((/** @type {any} */ one) => one.name === name);
    assert.equal(node.status, key, `${name} is ${node.status}: ${node.why}`);
    const word = WORDS[key];
    await page.goto(`${fileHome("ill")}index.html`);
    const row = page.locator(`tr[data-node="${graph.nodes.indexOf(node)}"]`);
    assert.match((await row.textContent()) ?? "", word);
    await page.goto(fileHome("ill") + node.url);
    const head = (await page.locator("header.title").innerText()).replaceAll("\n", " ");
    assert.match(head, word);
    assert.ok(head.includes(node.why), `${head} without ${node.why}`);
    await openGraph(page, `${fileHome("ill")}graph.html#?focus=${node.id}`);
    const box = page.locator("#graph .box.focus");
    const label = graph.statuses.find((/** @type {any} */ one) => one.key === key).label;
    assert.match(await box.locator("text").allTextContents().then((all) => all.join(" ")), word);
    assert.ok((await box.locator("[role=button]").getAttribute("aria-label"))?.includes(label));
    if (node.built) {
      await page.locator(".graph-panel", { hasText: node.built }).waitFor();
      if (node.seconds !== undefined) assert.match(await page.locator(".graph-panel").innerText(), /in \d+(\.\d)? (ms|s)/);
      await page.goto(fileHome("ill") + node.url);
      const facts = await page.locator("dl.facts").first().innerText();
      if (node.seconds !== undefined) {
        assert.ok(facts.includes(node.built), facts);
        assert.match(facts, /Build time/i);
      }
    }
  }
  // What is wrong comes first on the overview.
  await page.goto(`${fileHome("ill")}index.html`);
  assert.match(await page.locator(".attention li").first().innerText(), /failed/);
  await page.context().close();
  quiet(page);
});

test("without colours nothing is lost", async () => {
  const page = await visit(fileHome("ill"));
  await openGraph(page, `${fileHome("ill")}graph.html`);
  const texts = await page.locator("#graph .box").evaluateAll((boxes) => boxes.map((box) => [box.getAttribute("data-id"), [...box.querySelectorAll("text")].map((text) => text.textContent).join(" ")]));
  for (const [id, text] of texts) {
    const node = graph.nodes.find((/** @type {any} */ one) => one.id === id);
    const status = graph.statuses.find((/** @type {any} */ one) => one.key === node.status);
    assert.ok(text?.includes(status.sign) && text.includes(status.label), `${id}: ${text}`);
  }
  assert.equal(new Set(graph.statuses.map((/** @type {any} */ one) => one.sign)).size, graph.statuses.length);
  await page.context().close();
  quiet(page);
});

for (const [filter, value, keep] of /** @type {[string, string, (node: any) => boolean][]} */ ([
  ["layer", "serving", (node) => graph.layers[node.layer].key === "serving"],
  ["owner", graph.nodes.find((/** @type {any} */ node) => node.owner).owner, (node) => node.owner === graph.nodes.find((/** @type {any} */ one) => one.owner).owner],
  ["tag", "bi", (node) => (node.tags ?? []).includes("bi")],
  ["status", "failed", (node) => node.status === "failed"],
])) {
  test(`only what is of ${filter} ${value} is left, in list and graph`, async () => {
    const page = await visit(fileHome("ill"));
    const ids = graph.nodes.filter(keep).map((/** @type {any} */ node) => node.id).sort();
    const hidden = `${graph.nodes.length - ids.length} hidden`;
    assert.ok(ids.length && ids.length < graph.nodes.length);
    await page.goto(`${fileHome("ill")}index.html`);
    await page.locator(`select[name=${filter}]`).selectOption(value);
    const rows = page.locator("tr[data-node]:visible");
    await eventually(async () => assert.equal(await rows.count(), ids.length));
    assert.ok((await page.locator(".graph-note").innerText()).includes(hidden));
    await page.locator("[name=clear]").click();
    await eventually(async () => assert.equal(await rows.count(), graph.nodes.length));
    await openGraph(page, `${fileHome("ill")}graph.html`);
    await redrawn(page, () => page.locator(`select[name=${filter}]`).selectOption(value).then(() => undefined));
    await eventually(async () => assert.deepEqual(await drawn(page), ids));
    assert.ok((await page.locator(".graph-note").innerText()).includes(hidden));
    await redrawn(page, () => page.locator("[name=clear]").click());
    await eventually(async () => assert.equal((await drawn(page)).length, graph.nodes.length));
    await page.context().close();
    quiet(page);
  });
}

for (const name of ["ill", "large"]) {
  test(`${name}: no node of a later layer is left of one of an earlier`, async () => {
    const data = graphOf(name);
    assert.deepEqual(data.layers.map((/** @type {any} */ one) => one.key).filter((/** @type {string} */ key) => ["raw", "curated", "serving"].includes(key)), ["raw", "curated", "serving"]);
    const page = await visit(fileHome(name));
    const views = name === "ill" ? ["", "?focus=curated_orders&up=2&down=2"] : ["?focus=cur_crm_1002&up=9&down=2", "?group=curated:models/curated/crm/part1&by=folder"];
    for (const view of views) {
      await openGraph(page, `${fileHome(name)}graph.html#${view}`);
      const boxes = await page.locator("#graph .box").evaluateAll((all) => all.map((box) => ({ id: box.getAttribute("data-id"), x: box.getBoundingClientRect().left })));
      assert.ok(boxes.length > 1);
      const edge = new Map();
      for (const box of boxes) {
        const layer = data.nodes.find((/** @type {any} */ one) => one.id === box.id).layer;
        const now = edge.get(layer) ?? { left: Infinity, right: -Infinity };
        edge.set(layer, { left: Math.min(now.left, box.x), right: Math.max(now.right, box.x) });
      }
      const layers = [...edge.keys()].sort((a, b) => a - b);
      for (let at = 1; at < layers.length; at++) assert.ok(edge.get(layers[at]).left > edge.get(layers[at - 1]).right, `${view}: layer ${layers[at]}`);
      const heads = await page.locator(".band-heads span").allTextContents();
      assert.deepEqual(heads, layers.map((at) => data.layers[at].label));
    }
    await page.context().close();
    quiet(page);
  });
}
