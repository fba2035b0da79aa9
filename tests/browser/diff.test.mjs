// 9: a change is drawn over the graph: words, counts, and off again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOT, drawn, fileHome, graphOf, openGraph, quiet, redrawn, sorted, stop, visit } from "./lib.mjs";

after(stop);

test("added, removed, modified and affected, with the counts of the report", async () => {
  const graph = graphOf("diff");
  const report = JSON.parse(readFileSync(join(ROOT, "projects/diff/diff.json"), "utf8"));
  const ids = (/** @type {string} */ label) => sorted(graph.nodes.filter((/** @type {any} */ node) => node.diff === label).map((/** @type {any} */ node) => node.id));
  // What is downstream of a change and has no label of its own is affected.
  const labelled = new Set([...report.models.added, ...report.models.modified]);
  const below = new Set(labelled);
  for (const id of below) for (const [from, to] of graph.edges) if (graph.nodes[from].id === id) below.add(graph.nodes[to].id);
  const wanted = /** @type {{ [label: string]: string[] }} */ ({ ...report.models, affected: [...below].filter((id) => !labelled.has(id)) });
  assert.deepEqual(wanted.added, ["model.shop.curated_domains"]);
  assert.deepEqual(wanted.removed, ["model.shop.mail_list"]);
  assert.ok(wanted.modified.includes("model.shop.curated_customers") && wanted.affected.length > 0);
  const gone = graph.nodes.find((/** @type {any} */ node) => node.diff === "removed");
  assert.equal(graph.layers[gone.layer].key, "serving", "what is gone stands in the layer where it was");
  const page = await visit(fileHome("diff"));
  await openGraph(page, `${fileHome("diff")}graph.html`);
  assert.match(page.url(), /diff=1/);
  const button = page.locator("[name=diff]");
  assert.equal(await button.getAttribute("aria-pressed"), "true");
  const shown = (await button.textContent()) ?? "";
  for (const label of ["added", "removed", "modified", "affected"]) {
    const expected = sorted(wanted[label]);
    assert.deepEqual(ids(label), expected, label);
    assert.ok(shown.includes(`${expected.length} ${label}`), shown);
    const boxes = page.locator(`#graph .box.diff-${label}`);
    assert.equal(await boxes.count(), expected.length);
    for (const text of await boxes.locator(".sub").allTextContents()) assert.ok(text.includes(label), text);
    for (const text of await boxes.locator("[role=button]").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")))) assert.ok(text?.includes(label));
  }
  const others = graph.nodes.filter((/** @type {any} */ node) => !node.diff).length;
  assert.ok(others > 0);
  assert.equal(await page.locator("#graph .box.dim").count(), others);
  assert.equal((await drawn(page)).length, graph.nodes.length);
  // Off: as if there were no change.
  await redrawn(page, () => button.click());
  assert.equal(await page.locator("#graph .box.dim, #graph .box[class*=diff-]").count(), 0);
  assert.deepEqual(await drawn(page), sorted(graph.nodes.filter((/** @type {any} */ node) => node.diff !== "removed").map((/** @type {any} */ node) => node.id)));
  const texts = await page.locator("#graph .sub").allTextContents();
  assert.ok(texts.every((text) => !/added|removed|modified|affected/.test(text)));
  const off = page.url();
  await redrawn(page, () => page.goBack());
  assert.ok((await page.locator("#graph .box.dim").count()) > 0);
  const fresh = await visit(fileHome("diff"));
  await openGraph(fresh, off);
  assert.equal(await fresh.locator("#graph .box.dim").count(), 0);
  for (const one of [page, fresh]) {
    await one.context().close();
    quiet(one);
  }
});
