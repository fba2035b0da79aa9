#!/usr/bin/env node
// Lays the same seeded graphs out with Kiln and with dagre, and counts crossings.
//
//     cd benches/layout && npm install && node run.mjs --kiln ../../target/debug/kiln
//
// Each graph is written as a project of views and given to `kiln docs generate`; its drawing is read back from the site.
// dagre gets the same boxes and edges. Two counts: edges as straight lines between boxes, which is fair to neither
// because both draw curves, and dagre's edges along the points that it gives. dagre knows no layers: Kiln keeps sources,
// raw, curated and serving apart, which costs crossings. Times: dagre's own in this process; Kiln's is that of all five
// drawings that a site holds, from a build that should be optimised (see README.md).

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import dagre from "@dagrejs/dagre";

const argument = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const kiln = resolve(argument("kiln", "../../target/debug/kiln"));
const sizes = argument("sizes", "10,100,300,1000,5000").split(",").map(Number);
const patience = Number(argument("dagre-up-to", "1000"));

/** A small generator: the same seed, the same numbers. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A project of so many models: a sixth raw, the others read one to three earlier ones that are near. */
function project(folder, count) {
  const next = random(count);
  const write = (path, text) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const raws = Math.max(1, Math.round(count / 6));
  const serving = Math.round(count / 5);
  write("kiln.yml", "name: bench\nseverities: {contract-missing: off}\nmodels: {bench: {raw: {+materialized: view}}}\n");
  const names = [];
  const tables = [];
  for (let at = 0; at < count; at++) {
    const layer = at < raws ? "raw" : at < count - serving ? "curated" : "serving";
    const name = `${layer}_${at}`;
    let reads;
    if (layer === "raw") {
      tables.push(`      - {name: t${at}, columns: [{name: a, data_type: integer}]}`);
      reads = [`{{ source('api', 't${at}') }}`];
    } else {
      const first = layer === "serving" ? raws : 0;
      const near = names.slice(Math.max(first, names.length - 60));
      const chosen = new Set();
      const wanted = next() < 0.3 ? 1 : next() < 0.6 ? 2 : 3;
      for (let one = 0; one < wanted && near.length; one++) chosen.add(near[Math.floor(next() * near.length)]);
      if (!chosen.size) chosen.add(names[names.length - 1]);
      reads = [...chosen].map((parent) => `{{ ref('${parent}') }}`);
    }
    write(`models/${layer}/${name}.sql`, reads.map((from) => `select a from ${from}`).join(" union all ") + "\n");
    names.push(name);
  }
  write("models/raw/sources.yml", `sources:\n  - name: api\n    schema: main\n    tables:\n${tables.join("\n")}\n`);
}

/** How many pairs of lines cross; lines that share an end do not. Each line is a list of points. */
function crossings(lines) {
  const segments = [];
  for (const [line, { points }] of lines.entries()) {
    for (let at = 1; at < points.length; at++) {
      const [a, b] = [points[at - 1], points[at]].sort((one, other) => one[0] - other[0]);
      segments.push({ line, a, b, low: Math.min(a[1], b[1]), high: Math.max(a[1], b[1]) });
    }
  }
  segments.sort((one, other) => one.a[0] - other.a[0]);
  const side = (p, q, r) => Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  const crossed = new Set();
  for (let at = 0; at < segments.length; at++) {
    const one = segments[at];
    for (let next = at + 1; next < segments.length && segments[next].a[0] < one.b[0]; next++) {
      const other = segments[next];
      if (other.line === one.line || other.low > one.high || other.high < one.low) continue;
      const [first, second] = [lines[one.line], lines[other.line]];
      if (first.from === second.from || first.to === second.to || first.from === second.to || first.to === second.from) continue;
      if (side(one.a, one.b, other.a) * side(one.a, one.b, other.b) < 0 && side(other.a, other.b, one.a) * side(other.a, other.b, one.b) < 0) {
        crossed.add(Math.min(one.line, other.line) * lines.length + Math.max(one.line, other.line));
      }
    }
  }
  return crossed.size;
}

function straight(data, place) {
  const [width, height] = data.box;
  return data.edges.map(([from, to]) => {
    const [a, b] = [place(from), place(to)];
    return { from, to, points: [[a.x + width, a.y + height / 2], [b.x, b.y + height / 2]] };
  });
}

function withDagre(data) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 72, ranker: "tight-tree" });
  graph.setDefaultEdgeLabel(() => ({}));
  data.nodes.forEach((_, number) => graph.setNode(String(number), { width: data.box[0], height: data.box[1] }));
  for (const [from, to] of data.edges) graph.setEdge(String(from), String(to));
  const started = process.cpuUsage();
  dagre.layout(graph);
  const used = process.cpuUsage(started);
  const corner = (number) => {
    const { x, y } = graph.node(String(number));
    return { x: x - data.box[0] / 2, y: y - data.box[1] / 2 };
  };
  const along = data.edges.map(([from, to]) => ({
    from,
    to,
    points: graph.edge(String(from), String(to)).points.map(({ x, y }) => [x, y]),
  }));
  return { ms: (used.user + used.system) / 1000, straight: crossings(straight(data, corner)), along: crossings(along) };
}

console.log("| models | nodes | edges | kiln: crossings | ms (5 drawings) | dagre: crossings | along its points | ms |");
console.log("|---|---|---|---|---|---|---|---|");
for (const size of sizes) {
  const folder = mkdtempSync(join(tmpdir(), "kiln-layout-"));
  try {
    project(folder, size);
    const log = execFileSync(kiln, ["docs", "generate", "--log-format", "json", "--out", join(folder, "site")], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 1 << 28,
    });
    const text = readFileSync(join(folder, "site/data/graph.js"), "utf8");
    const data = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
    const event = log.split("\n").filter(Boolean).map((line) => JSON.parse(line)).find((one) => one.event === "docs");
    const own = crossings(straight(data, (number) => data.nodes[number]));
    const ms = event ? Math.round(event.drawing_s * 1000) : "";
    const other = size <= patience ? withDagre(data) : null;
    const cells = other ? [other.straight, other.along, Math.round(other.ms)] : ["not tried", "", ""];
    console.log(`| ${[size, data.nodes.length, data.edges.length, own, ms, ...cells].join(" | ")} |`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
