// 15 and the extras: hostile names, projects with nothing to show, secrets, the same bytes, and copying SQL.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, test } from "node:test";
import { ROOT, fileHome, folder, graphOf, openGraph, quiet, redrawn, stop, visit } from "./lib.mjs";
import { SECRET } from "./secret.mjs";

after(stop);

/** @param {string} at @returns {string[]} */
const files = (at) => readdirSync(at, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();

test("hostile names run nothing and break no page", async () => {
  const graph = graphOf("hostile");
  const page = await visit(fileHome("hostile"));
  const safe = async (/** @type {string} */ where) => {
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).hacked), undefined, where);
    assert.equal(await page.locator("main img, main script, main iframe, main [onerror], main [onload]").count(), 0, where);
    assert.equal(await page.locator('a[href^="javascript:" i]').count(), 0, where);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 1, `${where} is ${wide} pixels too wide`);
  };
  const paths = new Set(graph.nodes.map((/** @type {any} */ node) => node.url.toLowerCase()));
  assert.equal(paths.size, graph.nodes.length, "two pages share an address where case does not count");
  for (const node of graph.nodes) {
    assert.ok(!node.url.includes(".."), node.url);
    await page.goto(fileHome("hostile") + node.url);
    assert.equal((await page.locator("h1").innerText()).trim(), node.name.trim());
    await page.locator(".lineage").scrollIntoViewIfNeeded();
    await page.locator(".graph-part .box.focus").waitFor();
    await safe(node.url);
  }
  await page.goto(`${fileHome("hostile")}index.html`);
  await safe("the overview");
  for (const view of ["", "?by=tag", "?by=owner", "?by=folder", `?focus=${encodeURIComponent(graph.nodes.find((/** @type {any} */ node) => node.name === "emoji").id)}&cols=1`]) {
    await openGraph(page, `${fileHome("hostile")}graph.html#${view}`);
    assert.ok((await page.locator("#graph .box").count()) > 0, view);
    await safe(view);
  }
  await redrawn(page, () => page.locator(".panel-columns button").first().click());
  await safe("a hostile column");
  for (const word of ["<script>", '"onerror', "index", "مبيعات", "../../up"]) {
    await page.locator("#q").fill(word);
    await page.locator("#found-list a, .found-none").first().waitFor();
    await safe(word);
  }
  await page.goto(`${fileHome("hostile")}search.html#?q=${encodeURIComponent("<img src=x onerror=window.hacked=9>")}`);
  await safe("the page of results");
  await page.goto(`${fileHome("hostile")}graph.html#?focus=${encodeURIComponent("<img src=x onerror=window.hacked=9>")}&group=__proto__&by=constructor&up=-3&column=%00`);
  await page.locator(".graph-note", { hasText: "nothing here is called" }).waitFor();
  await safe("a hostile address");
  await page.context().close();
  quiet(page);
});

test("hostile names run nothing in one file either", async () => {
  const home = pathToFileURL(join(ROOT, "sites", "hostile.html")).href;
  const page = await visit(home);
  for (const node of graphOf("hostile").nodes) {
    await page.goto(`${home}#/${node.url}`);
    assert.equal((await page.locator("h1:visible").innerText()).trim(), node.name.trim());
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).hacked), undefined, node.url);
  }
  await page.context().close();
  quiet(page);
});

for (const [name, text] of /** @type {[string, RegExp][]} */ ([["empty", /no models yet/], ["single", /reads nothing and nothing reads it/], ["unknown", /4 nodes, 3 edges/]])) {
  test(`the ${name} project says what there is in words`, async () => {
    const page = await visit(fileHome(name));
    const [node] = graphOf(name).nodes;
    await page.goto(`${fileHome(name)}index.html`);
    assert.ok((await page.locator("main").innerText()).trim().length > 20);
    await openGraph(page, `${fileHome(name)}graph.html${name === "single" ? `#?focus=${node.id}` : ""}`);
    assert.match(await page.locator(".graph-note").innerText(), text);
    if (node) {
      await page.goto(fileHome(name) + node.url);
      await page.locator(".graph-part").scrollIntoViewIfNeeded();
      await page.locator(".graph-part .box.focus").waitFor();
    }
    await page.context().close();
    quiet(page);
  });
}

test("the same project gives the same bytes", () => {
  const [one, two] = [files(folder("shop")), files(folder("shop-again"))];
  assert.deepEqual(one.map((file) => file.slice(folder("shop").length)), two.map((file) => file.slice(folder("shop-again").length)));
  one.forEach((file, at) => assert.ok(readFileSync(file).equals(readFileSync(two[at])), file));
});

test("no secret, no value of the environment, no path of the machine", () => {
  const words = [SECRET, ROOT, homedir(), process.cwd()].filter((word) => word.length > 5);
  const all = ["shop", "ill", "hostile", "unknown", "empty", "single"].flatMap((name) => files(folder(name)));
  for (const file of [...all, join(ROOT, "sites", "shop.html"), join(ROOT, "sites", "hostile.html")]) {
    assert.ok(statSync(file).size > 0, file);
    const text = readFileSync(file, "utf8");
    for (const word of words) assert.ok(!text.includes(word), `${word} is in ${file}`);
  }
});

test("the button copies exactly the SQL", async () => {
  const page = await visit(fileHome("shop"));
  await page.goto(`${fileHome("shop")}m/revenue_by_day.html`);
  await page.locator("summary", { hasText: "Compiled" }).click();
  await page.evaluate(() => {
    // What is put on the clipboard, whichever way it is put there.
    const at = /** @type {any} */ (window);
    document.addEventListener("copy", () => (at.copied = String(document.getSelection() || (/** @type {any} */ (document.activeElement)).value)));
    Object.defineProperty(navigator, "clipboard", { value: { writeText: async (/** @type {string} */ text) => (at.copied = text) } });
  });
  await page.getByRole("button", { name: "copy the compiled SQL" }).click();
  await page.getByText("copied", { exact: true }).first().waitFor();
  const compiled = readFileSync(join(ROOT, "projects/shop/target/compiled/shop/models/serving/revenue_by_day.sql"), "utf8");
  assert.equal((await page.evaluate(() => /** @type {any} */ (window).copied)).trim(), compiled.trim());
  await page.context().close();
  quiet(page);
});

test("scripts and styles are small", async () => {
  const { gzipSync } = await import("node:zlib");
  const size = (/** @type {string} */ ending) => files(join(folder("shop"), "assets")).filter((file) => file.endsWith(ending)).reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
  assert.ok(size(".js") <= 40 * 1024, `${size(".js")} bytes of scripts`);
  assert.ok(size(".css") <= 10 * 1024, `${size(".css")} bytes of styles`);
});
