// Makes every site that the tests look at: node build.mjs FOLDER. The binary is $KILN.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as projects from "./projects.mjs";
import { SECRET } from "./secret.mjs";

export const KILN = process.env.KILN ?? "";


/** @param {string} folder @param {string[]} args @param {number[]} [codes] @param {("stdout" | "stderr")[]} [streams] */
export function kiln(folder, args, codes = [0], streams = ["stdout", "stderr"]) {
  return new Promise((done, fail) => {
    const env = { ...process.env, KILN_TEST_SECRET: SECRET, NO_COLOR: "1" };
    const child = spawn(KILN, args, { cwd: folder, env });
    let text = "";
    for (const stream of streams) child[stream].setEncoding("utf8").on("data", (part) => (text += part));
    child.on("error", fail);
    child.on("close", (code) => (codes.includes(code ?? -1) ? done(text) : fail(new Error(`kiln ${args.join(" ")} in ${folder}: exit ${code}\n${text.slice(-4000)}`))));
  });
}

/** @param {string} root @param {string} name @param {(folder: string) => void} make */
function project(root, name, make) {
  const folder = join(root, "projects", name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  make(folder);
  return folder;
}

/** @param {string} root @param {string} folder @param {string} name @param {string[]} [more] */
const generate = (root, folder, name, more = []) => {
  const out = join(root, "sites", name);
  rmSync(out, { recursive: true, force: true });
  return kiln(folder, ["docs", "generate", "--out", out, ...more], [0, 1]);
};

/** @type {{ [name: string]: (root: string) => Promise<unknown> }} */
const recipes = {
  shop: async (root) => {
    const folder = project(root, "shop", projects.example);
    await kiln(folder, ["run"]);
    await generate(root, folder, "shop");
    await generate(root, folder, "shop-again");
    await kiln(folder, ["docs", "generate", "--single-file", "--out", join(root, "sites", "shop.html")]);
    await kiln(folder, ["compile"]);
  },
  ill: async (root) => {
    const folder = project(root, "ill", projects.example);
    await kiln(folder, ["run"]);
    projects.breakExample(folder);
    await kiln(folder, ["run"], [1]);
    await generate(root, folder, "ill");
  },
  diff: async (root) => {
    const folder = project(root, "diff", projects.example);
    projects.beforeChange(folder);
    const git = (/** @type {string[]} */ ...args) => execFileSync("git", ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main", ...args], { cwd: folder });
    git("init", "--quiet");
    git("add", "--all");
    git("commit", "--quiet", "--message", "before");
    projects.change(folder);
    // What it finds is what the site shows: `kiln diff` ends with 1 where a promise would break.
    writeFileSync(join(folder, "diff.json"), await kiln(folder, ["diff", "--base", "main", "--format", "json"], [0, 1], ["stdout"]));
    await generate(root, folder, "diff", ["--diff", "diff.json"]);
  },
  hostile: async (root) => {
    const folder = project(root, "hostile", projects.hostile);
    await generate(root, folder, "hostile");
    await kiln(folder, ["docs", "generate", "--single-file", "--out", join(root, "sites", "hostile.html")], [0, 1]);
  },
  unknown: async (root) => generate(root, project(root, "unknown", projects.unknown), "unknown"),
  empty: async (root) => generate(root, project(root, "empty", projects.empty), "empty"),
  single: async (root) => generate(root, project(root, "single", projects.single), "single"),
  // Too many pages for one document: they are unpacked when they are asked for.
  packed: async (root) => {
    const folder = project(root, "packed", (at) => projects.layered(at, 350));
    await kiln(folder, ["docs", "generate", "--single-file", "--out", join(root, "sites", "packed.html")]);
    await generate(root, folder, "packed");
  },
  large: async (root) => {
    const folder = project(root, "large", (at) => projects.layered(at, Number(process.env.MODELS ?? 5000)));
    await generate(root, folder, "large");
  },
};

const [root, ...only] = process.argv.slice(2);
if (!root || !KILN) throw new Error("KILN=binary node build.mjs FOLDER [SITE…]");
mkdirSync(join(root, "sites"), { recursive: true });
// A site is kept while the binary and the recipes are what they were.
const stamp = `${KILN} ${statSync(KILN).mtimeMs} ${["projects.mjs", "build.mjs"].map((name) => readFileSync(join(import.meta.dirname, name), "utf8").length).join(" ")}`;
const names = only.length ? only : Object.keys(recipes);
// The large one takes longest: it goes first, and the others beside it.
const [slow, rest] = [names.filter((name) => name === "large"), names.filter((name) => name !== "large")];
const make = async (/** @type {string} */ name) => {
  const mark = join(root, `${name}.made`);
  if (!only.length && existsSync(mark) && readFileSync(mark, "utf8") === stamp) return;
  const started = Date.now();
  await recipes[name](root);
  writeFileSync(mark, stamp);
  console.log(`made ${name} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
};
await Promise.all([
  ...slow.map(make),
  (async () => {
    for (const name of rest) await make(name);
  })(),
]);
console.log(`sites: ${readdirSync(join(root, "sites")).join(", ")}`);
