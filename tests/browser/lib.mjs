// A browser without a network that keeps account of what goes wrong, and the ways in which a site is opened.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export const ROOT = process.env.KILN_SITES ?? "";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"];

/** How long anything may take before it counts as not coming, in milliseconds. */
export const PATIENCE = 90_000;

/** @type {Promise<import("playwright-core").Browser> | undefined} */
let running;
/** @returns {Promise<import("playwright-core").Browser>} */
export function browser() {
  running ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  return running;
}

export async function stop() {
  await (await running)?.close();
  for (const close of closers.splice(0)) await close();
}

/** @type {(() => Promise<void> | void)[]} */
const closers = [];

/** What went wrong on a page: console errors, exceptions, failed requests, requests to other places.
 * @typedef {import("playwright-core").Page & { wrong: string[] }} Watched */

/** @param {string} home the start of every address that may be asked for
 * @param {import("playwright-core").BrowserContextOptions} [options]
 * @returns {Promise<Watched>} */
export async function visit(home, options = {}) {
  const context = await (await browser()).newContext({ viewport: { width: 1280, height: 800 }, offline: home.startsWith("file:"), ...options });
  // Long enough for a machine that does ten other things: what hangs is told all the same.
  context.setDefaultTimeout(PATIENCE);
  const page = /** @type {Watched} */ (await context.newPage());
  page.wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.wrong.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.wrong.push(`exception: ${error.stack ?? error}`));
  page.on("dialog", (dialog) => {
    page.wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("requestfailed", (request) => {
    // A page that is left stops what it was loading.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") page.wrong.push(`failed: ${request.url()} ${why}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(home) && !url.startsWith("data:") && !url.startsWith("blob:")) page.wrong.push(`elsewhere: ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) page.wrong.push(`${response.status()}: ${response.url()}`);
  });
  return page;
}

/** @param {Watched} page */
export function quiet(page) {
  assert.deepEqual(page.wrong.slice(0, 5), []);
}

/** @param {string} name of a site */
export const folder = (name) => join(ROOT, "sites", name);
/** @param {string} name of a site */
export const fileHome = (name) => `${pathToFileURL(folder(name)).href}/`;

const TYPES = /** @type {{ [ending: string]: string }} */ ({ ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" });

/** Any web server, with the site in a folder of it.
 * @param {string} name @returns {Promise<string>} */
export function subpath(name) {
  return new Promise((done) => {
    const server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname);
      const file = join(folder(name), path.replace(/^\/a\/b\//, ""));
      if (!path.startsWith("/a/b/") || path.includes("..") || !existsSync(file) || !statSync(file).isFile()) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain" });
      createReadStream(file).pipe(response);
    });
    server.listen(0, "127.0.0.1", () => {
      const address = /** @type {import("node:net").AddressInfo} */ (server.address());
      closers.push(() => {
        server.closeAllConnections();
        server.close();
      });
      done(`http://127.0.0.1:${address.port}/a/b/`);
    });
  });
}

/** `kiln docs serve` of a project.
 * @param {string} name @returns {Promise<string>} */
export const serve = (name) => serveFolder(join(ROOT, "projects", name));

/** @param {string} cwd @returns {Promise<string>} */
export function serveFolder(cwd) {
  return new Promise((done, fail) => {
    const child = spawn(process.env.KILN ?? "", ["docs", "serve", "--no-open"], { cwd, env: { ...process.env, NO_COLOR: "1" } });
    closers.push(() => void child.kill("SIGINT"));
    let text = "";
    const read = (/** @type {Buffer} */ part) => {
      text += part;
      const address = /http:\/\/[\w.:[\]]+\//.exec(text);
      if (address) done(address[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", fail);
    child.on("close", (code) => fail(new Error(`kiln docs serve ended with ${code}: ${text}`)));
  });
}

/** The data of a site, as its scripts see it.
 * @param {string} name @returns {any} */
export function graphOf(name) {
  return assigned(readFileSync(join(folder(name), "data/graph.js"), "utf8"));
}

/** @param {string} text @returns {any} */
function assigned(text) {
  return JSON.parse(text.slice(text.indexOf("=") + 1).trim().replace(/;$/, ""));
}

/** Waits until a check holds: what a page does after a click need not be done when the click is.
 * @template T @param {() => Promise<T>} check @returns {Promise<T>} */
export async function eventually(check) {
  const until = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

/** Measures time on a machine that does other things too: a measurement is worth as much as the fixed loops before and
 * after it say, and the first good one of three counts, because a machine may be held up for a moment. What is too slow
 * is so each time.
 * @param {import("playwright-core").Page} page @param {(slow: () => Promise<number>) => Promise<string | undefined>} measure
 * gives what was too slow */
export async function inTime(page, measure) {
  const complaints = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = await slowness(page);
    const complaint = await measure(async () => Math.max(before, await slowness(page)));
    if (!complaint) return;
    complaints.push(complaint);
  }
  assert.fail(complaints.join("; "));
}

/** Waits until the graph is not drawn again any more.
 * @param {import("playwright-core").Page} page @param {number} than what it was drawn before */
async function settled(page, than) {
  await page.waitForFunction(
    (least) =>
      new Promise((done) => {
        const count = () => Number(document.getElementById("graph")?.dataset.drawn ?? 0);
        const first = count();
        setTimeout(() => done(first > least && count() === first), 120);
      }),
    than,
  );
}

/** Waits until the graph was drawn once more than it had been.
 * @param {import("playwright-core").Page} page @param {() => Promise<unknown>} act */
export async function redrawn(page, act) {
  const before = await page.evaluate(() => Number(document.getElementById("graph")?.dataset.drawn ?? 0));
  await act();
  await settled(page, before);
}

/** @param {import("playwright-core").Page} page @param {string} url */
export async function openGraph(page, url) {
  await page.goto("about:blank");
  await page.goto(url);
  await settled(page, 0);
}

/** Ids of the nodes that are drawn.
 * @param {import("playwright-core").Page} page @returns {Promise<string[]>} */
export const drawn = (page) => page.locator("#graph .box[data-id]").evaluateAll((boxes) => boxes.map((box) => box.getAttribute("data-id") ?? "").sort());

/** @param {Iterable<string>} items */
export const sorted = (items) => [...items].sort();

/** How slow this machine is now against a quiet one: a fixed loop takes about 150 ms there.
 * @param {import("playwright-core").Page} page @returns {Promise<number>} */
export async function slowness(page) {
  const loop = () =>
    page.evaluate(() => {
      const started = performance.now();
      let sum = 0;
      for (let at = 0; at < 4e7; at++) sum = (sum + at * 7) % 1000003;
      return sum < 0 ? 0 : performance.now() - started;
    });
  const times = [await loop(), await loop(), await loop()].sort((a, b) => a - b);
  return Math.max(1, times[1] / 150);
}
