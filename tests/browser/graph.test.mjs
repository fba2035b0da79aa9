// 4 to 7: neighbours, depth, columns, and addresses of the lineage view.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOT, drawn, eventually, fileHome, folder, graphOf, openGraph, quiet, redrawn, serve, sorted, stop, visit } from "./lib.mjs";

after(stop);

/** @param {any} graph */
function steps(graph) {
  const parents = graph.nodes.map(() => /** @type {number[]} */ ([]));
  const children = graph.nodes.map(() => /** @type {number[]} */ ([]));
  for (const [from, to] of graph.edges) {
    parents[to].push(from);
    children[from].push(to);
  }
  return { parents, children };
}

/** @param {number} start @param {number[][]} next @param {number} depth */
function within(start, next, depth) {
  const seen = new Set([start]);
  let ring = [start];
  for (let far = 0; far < depth && ring.length; far++) ring = ring.flatMap((at) => next[at].filter((to) => !seen.has(to) && seen.add(to)));
  return seen;
}

for (const [name, focus] of [["shop", "curated_orders"], ["large", "cur_crm_1002"]]) {
  test(`${name}: neighbours, then rings, and the focus stays where it is`, async () => {
    const graph = graphOf(name);
    const { parents, children } = steps(graph);
    const at = graph.nodes.findIndex((/** @type {any} */ node) => node.name === focus);
    const ids = (/** @type {number} */ up, /** @type {number} */ down) => sorted([...within(at, parents, up), ...within(at, children, down)].filter((one, place, all) => all.indexOf(one) === place).map((one) => graph.nodes[one].id));
    const page = await visit(fileHome(name));
    await openGraph(page, `${fileHome(name)}graph.html#?focus=${encodeURIComponent(graph.nodes[at].id)}`);
    await eventually(async () => assert.deepEqual(await drawn(page), ids(1, 1)));
    const all = { up: within(at, parents, Infinity).size - 1, down: within(at, children, Infinity).size - 1 };
    assert.equal(await page.locator("[name=up-all]").textContent(), `of ${all.up.toLocaleString("en")}`);
    assert.equal(await page.locator("[name=down-all]").textContent(), `of ${all.down.toLocaleString("en")}`);
    const place = async () => {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const box = await page.locator("#graph .box.focus .card-shape").boundingBox();
      assert.ok(box);
      return box;
    };
    const before = await place();
    for (const [button, up, down] of /** @type {[string, number, number][]} */ ([["up-more", 2, 1], ["up-more", 3, 1], ["down-more", 3, 2], ["up-less", 2, 2], ["down-less", 2, 1], ["up-less", 1, 1]])) {
      const control = page.locator(`[name=${button}]`);
      await redrawn(page, () => control.click());
      await eventually(async () => assert.deepEqual(await drawn(page), ids(up, down), `${up} up, ${down} down`));
      const now = await place();
      assert.ok(Math.abs(now.x - before.x) <= 2 && Math.abs(now.y - before.y) <= 2, `moved by ${now.x - before.x}, ${now.y - before.y}`);
    }
    await page.context().close();
    quiet(page);
  });
}

test("what is counted is what lineage.json says", async () => {
  const graph = graphOf("shop");
  const lineage = JSON.parse(readFileSync(join(ROOT, "projects/shop/target/lineage.json"), "utf8"));
  const { parents } = steps(graph);
  for (const name of ["shop", "large"]) {
    // What the graph counts with is what lineage.json says of nodes.
    const { nodes, edges } = graphOf(name);
    const said = JSON.parse(readFileSync(join(folder(name), "data/lineage.json"), "utf8"));
    const known = said.nodes.flatMap((/** @type {any} */ node) => node.parents.map((/** @type {string} */ parent) => `${parent} ${node.id}`));
    assert.deepEqual(sorted(edges.map((/** @type {number[]} */ [from, to]) => `${nodes[from].id} ${nodes[to].id}`)), sorted(known), name);
  }
  // Every edge between columns goes along an edge between their nodes.
  const nodeOf = (/** @type {string} */ column) => graph.nodes.findIndex((/** @type {any} */ node) => column.startsWith(`${node.name}.`) && node.name.length === Math.max(...graph.nodes.filter((/** @type {any} */ one) => column.startsWith(`${one.name}.`)).map((/** @type {any} */ one) => one.name.length)));
  for (const edge of lineage.edges) assert.ok(parents[nodeOf(edge.to)].includes(nodeOf(edge.from)), JSON.stringify(edge));
});

/** What a column comes from and goes into by lineage.json.
 * @param {any} lineage @param {string} start @param {string[]} kinds */
function reach(lineage, start, kinds) {
  const follow = (/** @type {string} */ a, /** @type {string} */ b) => {
    const seen = new Set([start]);
    const work = [start];
    for (const at of work) {
      for (const edge of lineage.edges) if (edge[a] === at && kinds.includes(edge.kind) && !seen.has(edge[b])) work.push(edge[b]), seen.add(edge[b]);
    }
    seen.delete(start);
    return sorted(seen);
  };
  return { up: follow("to", "from"), down: follow("from", "to") };
}

test("a column's ancestors and descendants, and no other", async () => {
  const home = await serve("shop");
  const graph = graphOf("shop");
  const lineage = JSON.parse(readFileSync(join(ROOT, "projects/shop/target/lineage.json"), "utf8"));
  const page = await visit(home);
  const named = (/** @type {string} */ id) => graph.nodes.find((/** @type {any} */ node) => id.startsWith(`${node.id}.`));
  const list = async (/** @type {string} */ side) =>
    sorted((await page.locator(`.reach-${side} [data-column]`).evaluateAll((all) => all.map((one) => one.getAttribute("data-column") ?? ""))).map((id) => `${named(id).name}${id.slice(named(id).id.length)}`));
  const rows = (/** @type {string} */ as) =>
    page.locator(`#graph .row.as-${as}`).evaluateAll((all) => all.map((row) => `${row.closest(".box")?.getAttribute("data-id")}:${/** @type {SVGElement} */ (row).dataset.column}`));
  for (const [model, column] of [["curated_orders", "amount"], ["curated_orders", "customer_id"], ["revenue_by_day", "revenue"], ["raw_events", "session_id"], ["channel_performance", "orders"]]) {
    const node = graph.nodes.find((/** @type {any} */ one) => one.name === model);
    await openGraph(page, `${home}graph.html#?focus=${node.id}`);
    await redrawn(page, () => page.locator(".panel-columns button", { hasText: new RegExp(`^${column}[A-Z a-z(]`) }).first().click().catch(() => page.locator(".panel-columns .column-name", { hasText: new RegExp(`^${column}$`) }).click()));
    await page.locator(".reach-down").waitFor({ state: "attached" });
    const value = reach(lineage, `${model}.${column}`, ["value"]);
    await eventually(async () => {
      assert.deepEqual(await list("up"), value.up, `${model}.${column} up`);
      assert.deepEqual(await list("down"), value.down, `${model}.${column} down`);
      assert.equal((await rows("value")).length, value.up.length + value.down.length);
    });
    assert.equal((await rows("influence")).length, 0);
    assert.equal(await page.locator("#graph .line.influence").count(), 0);
    // Whatever has no part in it is dimmed.
    const lit = new Set([model, ...[...value.up, ...value.down].map((id) => graph.nodes.filter((/** @type {any} */ one) => id.startsWith(`${one.name}.`)).sort((/** @type {any} */ a, /** @type {any} */ b) => b.name.length - a.name.length)[0].name)]);
    const bright = await page.locator("#graph .box:not(.dim)").evaluateAll((all) => all.map((box) => box.getAttribute("data-id") ?? ""));
    assert.deepEqual(sorted(bright), sorted([...lit].map((name) => graph.nodes.find((/** @type {any} */ one) => one.name === name).id)));
    await redrawn(page, () => page.locator("[name=influence]").click());
    const both = reach(lineage, `${model}.${column}`, ["value", "influence"]);
    await page.waitForFunction((count) => document.querySelectorAll(".reach-up [data-column]").length === count, both.up.length);
    await eventually(async () => {
      assert.deepEqual(await list("up"), both.up);
      assert.deepEqual(await list("down"), both.down);
    });
    const dashed = page.locator("#graph .line.influence");
    if (both.up.length > value.up.length) assert.ok((await dashed.count()) > 0);
    for (const line of await dashed.all()) assert.ok(await line.getAttribute("stroke-dasharray"));
  }
  await page.context().close();
  quiet(page);
});

test("a column of unknown origin is called that", async () => {
  const graph = graphOf("unknown");
  const second = graph.nodes.find((/** @type {any} */ node) => node.name === "second");
  const page = await visit(fileHome("unknown"));
  await openGraph(page, `${fileHome("unknown")}graph.html#?focus=${second.id}&column=a`);
  await page.locator(".graph-panel", { hasText: "is unknown" }).waitFor();
  assert.match(await page.locator("#graph .box.focus .row").innerHTML(), /unknown/);
  assert.ok((await page.locator("#graph .line.unknown").count()) > 0);
  await openGraph(page, `${fileHome("unknown")}graph.html#?focus=${graph.nodes.find((/** @type {any} */ node) => node.name === "first").id}&column=a`);
  await page.locator(".reach-may", { hasText: "second.a" }).waitFor();
  await page.goto(fileHome("unknown") + second.url);
  assert.match(await page.locator("table.columns").innerText(), /unknown/);
  await page.context().close();
  quiet(page);
});

test("every view is in the address, and Back leads to the one before", async () => {
  const home = await serve("shop");
  const page = await visit(home);
  const graph = graphOf("shop");
  await openGraph(page, `${home}graph.html`);
  const views = [{ url: page.url(), nodes: await drawn(page) }];
  const act = async (/** @type {() => Promise<unknown>} */ how) => {
    await redrawn(page, how);
    views.push({ url: page.url(), nodes: await drawn(page) });
  };
  await act(() => page.locator("[name=layer]").selectOption("serving"));
  await act(() => page.locator("[name=clear]").click());
  await act(() => page.locator("#graph .box", { hasText: "curated_customers" }).dblclick());
  await act(() => page.locator("[name=down-more]").click());
  await act(() => page.locator("[name=columns]").click());
  await act(() => page.locator(".panel-columns button").first().click());
  await act(() => page.locator("[name=influence]").click());
  await act(() => page.locator("[name=overview]").click());
  await act(() => page.locator("[name=groups]").click());
  await act(() => page.locator("#graph .box", { hasText: "curated" }).first().click());
  assert.equal(new Set(views.map((view) => view.url)).size, views.length - 2, views.map((view) => view.url).join("\n"));
  for (const view of views) {
    const fresh = await visit(home);
    await openGraph(fresh, view.url);
    await eventually(async () => assert.deepEqual(await drawn(fresh), view.nodes, view.url));
    await fresh.context().close();
    quiet(fresh);
  }
  for (const view of views.slice(0, -1).reverse()) {
    await redrawn(page, () => page.goBack());
    await eventually(async () => {
      assert.equal(page.url(), view.url);
      assert.deepEqual(await drawn(page), view.nodes);
    });
  }
  assert.ok(graph.nodes.length > 10);
  await page.context().close();
  quiet(page);
});

test("the filters of the overview are in its address too", async () => {
  const page = await visit(fileHome("shop"));
  const rows = () => page.locator("tr[data-node]:visible").count();
  await page.goto(`${fileHome("shop")}index.html`);
  await page.locator("[name=layer]").selectOption("curated");
  const some = await rows();
  const url = page.url();
  await page.goBack();
  await eventually(async () => assert.equal(await rows(), graphOf("shop").nodes.length));
  await page.goto("about:blank");
  await page.goto(url);
  await page.locator("[name=clear]").waitFor();
  await eventually(async () => assert.equal(await rows(), some));
  await page.context().close();
  quiet(page);
});
