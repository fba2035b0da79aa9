// 14: what is seen, as a file; and a page on paper.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileHome, graphOf, openGraph, quiet, stop, visit } from "./lib.mjs";

after(stop);

/** @param {import("playwright-core").Page} page @param {string} kind */
async function download(page, kind) {
  await page.locator("details.menu", { hasText: "export" }).locator("summary").click();
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator(`[name=export-${kind}]`).click()]);
  return readFileSync(await file.path());
}

for (const [site, view] of [["shop", ""], ["shop", "?focus=curated_orders&column=customer_id&influence=1"], ["hostile", ""], ["large", "?view=all"]]) {
  test(`${site} ${view}: SVG, PNG and Mermaid`, async () => {
    const graph = graphOf(site);
    const page = await visit(fileHome(site));
    await openGraph(page, `${fileHome(site)}graph.html#${view}`);
    const ids = new Set(view === "" || site === "large" ? graph.nodes.map((/** @type {any} */ node) => node.id) : await page.locator("#graph .box").evaluateAll((all) => all.map((box) => box.getAttribute("data-id"))));
    const svg = (await download(page, "svg")).toString("utf8");
    const parsed = await page.evaluate((text) => {
      const xml = new DOMParser().parseFromString(text, "image/svg+xml");
      return {
        error: xml.querySelector("parsererror")?.textContent,
        texts: [...xml.querySelectorAll("title, text")].map((one) => one.textContent ?? ""),
        scripts: xml.querySelectorAll("script, foreignObject, image, [onload], [onclick], [href]").length,
        size: [Number(xml.documentElement.getAttribute("width")), Number(xml.documentElement.getAttribute("height"))],
      };
    }, svg);
    assert.equal(parsed.error, undefined);
    assert.equal(parsed.scripts, 0);
    assert.ok(parsed.size[0] > 0 && parsed.size[1] > 0);
    const words = new Set(parsed.texts.flatMap((text) => [text, text.split(",")[0]]));
    for (const node of graph.nodes) if (ids.has(node.id)) assert.ok(words.has(node.name) || parsed.texts.some((text) => text.startsWith(`${node.name},`)), node.name);
    const png = await download(page, "png");
    assert.equal(png.subarray(1, 4).toString(), "PNG");
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    const stage = await page.locator(".stage").boundingBox();
    assert.ok(stage && (width >= 2 * stage.width || height >= 2 * stage.height), `${width} × ${height}`);
    const mermaid = (await download(page, "mermaid")).toString("utf8");
    const edges = [...mermaid.matchAll(/^ {2}n(\d+) --> n(\d+)$/gm)].map((match) => `${match[1]} ${match[2]}`).sort();
    const seen = graph.edges.filter((/** @type {number[]} */ [from, to]) => ids.has(graph.nodes[from].id) && ids.has(graph.nodes[to].id)).map((/** @type {number[]} */ edge) => edge.join(" ")).sort();
    assert.deepEqual(edges, seen);
    assert.match(mermaid, /^flowchart LR\n/);
    assert.equal([...mermaid.matchAll(/^ {4}n\d+\["[^"<>\n]*"\]$/gm)].length, ids.size);
    await page.context().close();
    quiet(page);
  });
}

test("on paper a page has all its columns, nothing cut off, and nothing to press", async () => {
  const page = await visit(fileHome("shop"), { viewport: { width: 794, height: 1123 } });
  const node = graphOf("shop").nodes.find((/** @type {any} */ one) => one.name === "curated_orders");
  await page.goto(fileHome("shop") + node.url);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator("button:visible, input:visible, select:visible").count(), 0);
  assert.equal(await page.locator("table.columns tbody tr:visible").count(), node.columns);
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll("main *")]
      .filter((element) => element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible")
      .map((element) => `${element.tagName} ${element.className} ${element.scrollWidth} > ${element.clientWidth}`),
  );
  assert.deepEqual(cut, []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1));
  const pdf = await page.pdf({ format: "A4" });
  assert.equal(pdf.subarray(0, 4).toString(), "%PDF");
  await page.context().close();
  quiet(page);
});
