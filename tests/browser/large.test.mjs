// 13: five thousand models. Times are measured against a fixed loop, so that a busy machine fails nothing.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileHome, graphOf, inTime, openGraph, quiet, serve, stop, visit } from "./lib.mjs";

after(stop);
const home = fileHome("large");

test("the overview answers within two seconds, and the script stays short", async () => {
  const page = await visit(home);
  await page.addInitScript(() => {
    const at = /** @type {any} */ (window);
    at.long = [];
    new PerformanceObserver((list) => at.long.push(...list.getEntries().map((entry) => [entry.startTime, entry.duration]))).observe({ type: "longtask", buffered: true });
  });
  await inTime(page, async (slowly) => {
    await page.goto("about:blank");
    await page.goto(`${home}index.html`, { waitUntil: "commit" });
    await page.locator("#q").waitFor();
    await page.locator("#q").focus();
    await page.keyboard.type("mart_crm_2");
    await page.locator("#found-list a").first().waitFor();
    const took = await page.evaluate(() => performance.now());
    await page.waitForLoadState("load");
    await page.waitForTimeout(1500);
    const long = await page.evaluate(() => {
      const loaded = /** @type {PerformanceNavigationTiming} */ (performance.getEntriesByType("navigation")[0]).loadEventEnd;
      return /** @type {any} */ (window).long.filter((/** @type {number[]} */ task) => task[0] > loaded).map((/** @type {number[]} */ task) => task[1]);
    });
    const slow = await slowly();
    if (took >= 2000 * slow) return `${took.toFixed(0)} ms on a machine ${slow.toFixed(1)} times slower`;
    if (long.some((/** @type {number} */ time) => time >= 200 * slow)) return `tasks of ${long} ms on a machine ${slow.toFixed(1)} times slower`;
    return undefined;
  });
  await page.context().close();
  quiet(page);
});

test("from kiln docs serve", async () => {
  const address = await serve("large");
  const page = await visit(address);
  await page.goto(address);
  // Its rows are there before any script.
  const names = await page.locator("table.list a.node").count();
  assert.equal(names, graphOf("large").nodes.length);
  await page.locator("#q").focus();
  await page.keyboard.type("cur_crm_1002");
  await page.locator("#found-list a").first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/m/cur_crm_1002.html");
  await page.locator(".lineage").scrollIntoViewIfNeeded();
  await page.locator(".graph-part .box.focus").waitFor();
  await openGraph(page, `${address}graph.html`);
  assert.ok((await page.locator("#graph .box").count()) <= 300);
  await page.context().close();
  quiet(page);
});

test("the graph is folded first, and all of it can be moved", async () => {
  const page = await visit(home);
  const graph = graphOf("large");
  await openGraph(page, `${home}graph.html`);
  const groups = await page.locator("#graph .box").count();
  assert.ok(groups > 1 && groups <= 300, String(groups));
  for (const by of Object.keys(graph.groups)) assert.ok(graph.groups[by].groups.length <= 300, by);
  await openGraph(page, `${home}graph.html#?view=all`);
  assert.match(await page.locator(".graph-note").innerText(), new RegExp(`${graph.nodes.length.toLocaleString("en")} nodes, ${graph.edges.length.toLocaleString("en")} edges`));
  const box = await page.locator(".stage").boundingBox();
  assert.ok(box);
  // The time that scripts take in each frame, from the first callback of the frame to the last.
  await page.evaluate(() => {
    const at = /** @type {any} */ (window);
    at.frames = [];
    const own = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (then) =>
      own((time) => {
        const started = performance.now();
        then(time);
        at.frames.push(performance.now() - started);
      });
  });
  const median = async () => {
    // A busy machine shows fewer frames, with more of the moves in each.
    await page.waitForFunction(() => /** @type {any} */ (window).frames.length > 4);
    const frames = await page.evaluate(() => /** @type {any} */ (window).frames.splice(0));
    return frames.sort((/** @type {number} */ a, /** @type {number} */ b) => a - b)[Math.floor(frames.length / 2)];
  };
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const drag = async () => {
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (let step = 1; step <= 40; step++) await page.mouse.move(x + step * 6, y + Math.sin(step) * 30);
    await page.mouse.up();
  };
  await inTime(page, async (slowly) => {
    const times = /** @type {{ [what: string]: number }} */ ({});
    await page.locator("[aria-label='fit the graph into the view']").click();
    await drag();
    times.far = await median();
    for (let step = 0; step < 24; step++) await page.mouse.wheel(0, -120);
    times.zoom = await median();
    await drag();
    times.near = await median();
    const slow = await slowly();
    const late = Object.entries(times).filter(([, time]) => time >= 16 * slow);
    return late.length ? `${late.map(([what, time]) => `${what}: ${time.toFixed(1)} ms`)} a frame on a machine ${slow.toFixed(1)} times slower` : undefined;
  });
  const client = await page.context().newCDPSession(page);
  await client.send("HeapProfiler.collectGarbage");
  const { usedSize } = await client.send("Runtime.getHeapUsage");
  assert.ok(usedSize < 150e6, `${(usedSize / 1e6).toFixed(0)} MB`);
  await page.context().close();
  quiet(page);
});
