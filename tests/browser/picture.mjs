// The picture of README.md: node picture.mjs SITE OUT.png, with SITE the folder of the example's site.
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { openGraph, quiet, stop, visit } from "./lib.mjs";

const [site, out] = process.argv.slice(2);
if (!site || !out) throw new Error("node picture.mjs SITE OUT.png");
const home = `${pathToFileURL(resolve(site)).href}/`;
const page = await visit(home, { viewport: { width: 1180, height: 660 }, deviceScaleFactor: 1.5, colorScheme: "light" });
await openGraph(page, `${home}graph.html#?focus=revenue_by_day&up=3&column=revenue&influence=1`);
await page.locator(".reach-up li").first().waitFor({ state: "attached" });
await page.screenshot({ path: out });
await page.context().close();
quiet(page);
await stop();
console.log(`${out}: ${Math.round(statSync(out).size / 1024)} KiB`);
