// 1 and 2: the site opens from a folder, from any web server and as one file, and says the same without scripts.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, test } from "node:test";
import { ROOT, fileHome, folder, graphOf, openGraph, quiet, serve, serveFolder, stop, subpath, visit } from "./lib.mjs";
import { single, write } from "./projects.mjs";

after(stop);
const graph = graphOf("shop");

/** @param {string} home @param {string} first @param {(path: string) => string} at */
async function opens(home, first, at) {
  const page = await visit(home);
  await page.goto(first);
  assert.equal(await page.locator(".brand").textContent(), "shop");
  const names = await page.locator("table.list a.node:visible").allTextContents();
  for (const node of graph.nodes) assert.ok(names.includes(node.name), `${node.name} is not listed`);
  assert.equal(names.length, graph.nodes.length);
  await page.keyboard.press("/");
  await page.keyboard.type("curated_orders");
  await page.locator("#found-list a").first().waitFor();
  await page.keyboard.press("Enter");
  await page.locator("h1:visible", { hasText: "curated_orders" }).waitFor();
  // Every kind of page, and its small graph.
  for (const node of [graph.nodes.find((/** @type {any} */ one) => one.kind === "source"), graph.nodes.find((/** @type {any} */ one) => one.kind === "consumer")]) {
    await page.goto(at(node.url));
    await page.locator("h1:visible", { hasText: node.name }).waitFor();
  }
  const serving = graph.nodes.find((/** @type {any} */ one) => one.name === "revenue_by_day");
  await page.goto(at(serving.url));
  await page.locator(".lineage:visible").scrollIntoViewIfNeeded();
  await page.locator(".graph-part:visible .box.focus").waitFor();
  await page.goto(at("releases.html"));
  await page.locator("h2:visible", { hasText: "Release 1" }).waitFor();
  await openGraph(page, at("graph.html"));
  assert.equal(await page.locator("#graph .box").count(), graph.nodes.length);
  await page.context().close();
  quiet(page);
}

test("from a folder, without a network", () => opens(fileHome("shop"), `${fileHome("shop")}index.html`, (path) => fileHome("shop") + path));

test("from kiln docs serve", async () => {
  const home = await serve("shop");
  await opens(home, home, (path) => home + path);
});

test("a page that is served follows the project", async () => {
  const project = mkdtempSync(join(tmpdir(), "kiln-serve-"));
  single(project);
  const home = await serveFolder(project);
  const page = await visit(home);
  await page.goto(home);
  await page.locator("a.node", { hasText: "only" }).waitFor();
  write(project, "models/curated/another.sql", "select a from {{ ref('only') }}\n");
  await page.locator("a.node", { hasText: "another" }).waitFor();
  await page.context().close();
  quiet(page);
  // What serves it may be writing there still.
  rmSync(project, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

test("under a folder of a web server", async () => {
  const home = await subpath("shop");
  await opens(home, `${home}index.html`, (path) => home + path);
});

test("as one file", () => {
  const home = pathToFileURL(join(ROOT, "sites", "shop.html")).href;
  return opens(home, home, (path) => `${home}#/${path}`);
});

test("as one file with more pages than a document should hold", async () => {
  const home = pathToFileURL(join(ROOT, "sites", "packed.html")).href;
  const page = await visit(home);
  const nodes = graphOf("packed").nodes;
  const model = (/** @type {string} */ name) => nodes.find((/** @type {any} */ node) => node.name === name);
  const shows = async (/** @type {string} */ name) => {
    await page.locator("h1:visible", { hasText: name }).waitFor();
    assert.equal(await page.locator("table.columns:visible tbody tr").count(), model(name).columns);
    await page.locator(".lineage:visible").scrollIntoViewIfNeeded();
    await page.locator(".graph-part:visible .box.focus").waitFor();
    await page.getByRole("button", { name: "copy the source SQL" }).waitFor();
  };
  await page.goto(home);
  assert.equal(await page.locator("table.list a.node:visible").count(), nodes.length);
  assert.ok((await page.locator("section.page").count()) < 10, "all pages are unpacked");
  await page.keyboard.press("/");
  await page.keyboard.type("cur_crm_102");
  await page.locator("#found-list a").first().waitFor();
  await page.keyboard.press("Enter");
  await shows("cur_crm_102");
  const parent = await page.locator(".upstream:visible a.node").first().innerText();
  await page.locator(".upstream:visible a.node").first().click();
  await shows(parent);
  await page.goBack();
  await shows("cur_crm_102");
  // Straight to a column of a page that was not seen yet.
  await page.goto("about:blank");
  await page.goto(`${home}#/${model("mart_finance_13").url}/c3`);
  await shows("mart_finance_13");
  await page.goto(`${home}#/m/nothing.html`);
  await page.locator("h1:visible", { hasText: "shop" }).waitFor();
  await page.context().close();
  quiet(page);
});

test("without scripts a page says everything", async () => {
  const page = await visit(fileHome("shop"), { javaScriptEnabled: false });
  const node = graph.nodes.find((/** @type {any} */ one) => one.name === "revenue_by_day");
  await page.goto(fileHome("shop") + node.url);
  const text = await page.locator("main").innerText();
  assert.match(text, /orders and revenue by the day they were placed/);
  const columns = await page.locator("table.columns tbody tr").allInnerTexts();
  assert.equal(columns.length, node.columns);
  assert.ok(columns.some((row) => /revenue/.test(row) && /DECIMAL\(38,2\)/i.test(row)), columns.join("\n"));
  assert.match(await page.locator(".contract").innerText(), /active/);
  const tests = await page.locator("table.tests tbody tr").allInnerTexts();
  assert.ok(tests.length > 5 && tests.every((row) => /passed|warned|failed/.test(row)));
  assert.match(await page.locator(".sql code").first().innerText(), /from \{\{ ref\('curated_orders'\) \}\}/);
  assert.equal(await page.locator("button:visible").count(), 0);
  // The links to its neighbours work.
  const near = async (/** @type {string} */ side) => (await page.locator(`.${side} a.node`).allTextContents()).sort();
  const number = graph.nodes.indexOf(node);
  const names = (/** @type {(edge: number[]) => boolean} */ keep, /** @type {number} */ end) => graph.edges.filter(keep).map((/** @type {number[]} */ edge) => graph.nodes[edge[end]].name).sort();
  assert.deepEqual(await near("upstream"), names((edge) => edge[1] === number, 0));
  assert.deepEqual(await near("downstream"), names((edge) => edge[0] === number, 1));
  await page.locator(".upstream a.node").first().click();
  assert.equal(await page.locator("h1").innerText(), "curated_orders");
  await page.locator(".downstream a.node", { hasText: "revenue_by_day" }).click();
  assert.equal(await page.locator("h1").innerText(), "revenue_by_day");
  for (const path of ["index.html", "graph.html", "search.html"]) {
    await page.goto(fileHome("shop") + path);
    assert.equal(await page.locator("button:visible, input:visible").count(), 0, path);
  }
  await page.context().close();
  quiet(page);
});

test("every link of every page leads somewhere", async () => {
  const page = await visit(fileHome("shop"));
  const seen = new Set(["index.html"]);
  for (const path of seen) {
    await page.goto(fileHome("shop") + path);
    const links = await page.locator("a[href]").evaluateAll((all) => all.map((link) => /** @type {HTMLAnchorElement} */ (link).href));
    for (const link of links) {
      if (link.startsWith("mailto:") || /^https?:/.test(link)) continue;
      assert.ok(link.startsWith(fileHome("shop")), `${path}: ${link}`);
      const [to, anchor] = link.slice(fileHome("shop").length).split("#");
      const file = join(folder("shop"), decodeURIComponent(to));
      assert.ok(existsSync(file), `${path}: ${link}`);
      if (anchor && !anchor.startsWith("?")) assert.ok(readFileSync(file, "utf8").includes(`id="${decodeURIComponent(anchor)}"`), `${path}: ${link}`);
      if (to.endsWith(".html")) seen.add(decodeURIComponent(to));
    }
  }
  assert.equal(seen.size, 3 + graph.nodes.length);
  await page.context().close();
  quiet(page);
});
