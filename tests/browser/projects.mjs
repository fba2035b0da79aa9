// Projects to make sites of: the example, one whose runs went wrong, hostile names, and layered ones of any size.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const EXAMPLE = resolve(import.meta.dirname, "../../example_project");

/** @param {string} folder @param {string} path @param {string} text */
export function write(folder, path, text) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** @param {string} folder @param {string} path @param {(text: string) => string} how */
export function edit(folder, path, how) {
  const before = readFileSync(join(folder, path), "utf8");
  const after = how(before);
  if (before === after) throw new Error(`${path} was not changed`);
  writeFileSync(join(folder, path), after);
}

/** @param {string} folder */
export function example(folder) {
  cpSync(EXAMPLE, folder, { recursive: true, filter: (from) => !/[\\/]target([\\/]|$)/.test(from) });
}

/** After a good run: a test that fails, a contract that is broken, a source that is stale.
 * @param {string} folder */
export function breakExample(folder) {
  write(folder, "tests/no_payment_is_large.sql", "select * from {{ ref('curated_payments') }} where amount > 50\n");
  edit(folder, "contracts/revenue_by_day.odcs.yaml", (text) => text.replace("mustBeGreaterThan: 0}", "mustBeGreaterThan: 100000}"));
  edit(folder, "models/raw/sources.yml", (text) => {
    const at = text.indexOf("name: payments");
    return `${text.slice(0, at)}name: payments\n        loaded_at_field: paid_at\n        freshness: {error_after: {count: 1, period: day}}${text.slice(at + "name: payments".length)}`;
  });
}

/** The example as it was before a change: with a model that the change takes away.
 * @param {string} folder */
export function beforeChange(folder) {
  write(folder, ".gitignore", "target/\n");
  write(folder, "models/serving/mail_list.sql", "select customer_id, email from {{ ref('curated_customers') }}\n");
  write(folder, "contracts/mail_list.odcs.yaml", "apiVersion: v3.1.0\nkind: DataContract\nid: mail_list\nversion: 1.0.0\nstatus: active\nschema:\n  - name: mail_list\n    properties:\n      - {name: email, physicalType: VARCHAR}\n");
}

/** The change: one model comes, one goes, one has another column.
 * @param {string} folder */
export function change(folder) {
  rmSync(join(folder, "models/serving/mail_list.sql"));
  rmSync(join(folder, "contracts/mail_list.odcs.yaml"));
  write(folder, "models/curated/curated_domains.sql", "select distinct split_part(email, '@', 2) as domain from {{ ref('curated_customers') }}\n");
  edit(folder, "models/curated/curated_customers.sql", (text) => text.replace("c.signed_up_on", "c.signed_up_on,\n    c.email is null as is_guest"));
}

/** A small generator of numbers: the same seed, the same project.
 * @param {number} seed */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export const DOMAINS = ["billing", "catalog", "crm", "finance", "growth", "logistics", "people", "risk", "sales", "support"];

/** Sources, raw, curated and serving models with owners, tags and descriptions: ten domains that mostly read themselves.
 * @param {string} folder @param {number} count of models @param {number} [width] columns of a model */
export function layered(folder, count, width = 8) {
  const next = random(count + 7);
  const pick = (/** @type {any[]} */ list) => list[Math.floor(next() * list.length)];
  const raws = Math.max(1, Math.round(count * 0.15));
  const curated = Math.max(1, Math.round(count * 0.6));
  const serving = count - raws - curated;
  const columns = Array.from({ length: width }, (_, at) => (at === 0 ? "id" : at === 1 ? "day" : `v${at}`));
  write(folder, "kiln.yml", `name: shop\nversion: "1.0.0"\nseverities: {contract-missing: off}\nmodels: {shop: {raw: {+materialized: view}}}\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n`);
  /** @type {{ name: string, domain: string, stage: number }[]} */
  const made = [];
  /** @type {Map<string, string>} */
  const properties = new Map();
  const tables = [];
  const typed = columns.map((name, at) => `{name: ${name}, data_type: ${at === 1 ? "date" : "bigint"}}`).join(", ");
  const note = (/** @type {string} */ file, /** @type {string} */ name, /** @type {number} */ number, /** @type {string} */ layer) => {
    const tags = [layer, ...(number % 3 === 0 ? ["nightly"] : []), ...(number % 7 === 0 ? ["pii"] : [])];
    const text =
      `  - name: ${name}\n    description: what ${name.replaceAll("_", " ")} holds for reports, part ${number}\n` +
      `    config: {tags: [${tags.join(", ")}], meta: {owner: ${DOMAINS[number % 10]} team}}\n` +
      `    columns:\n      - {name: v2, description: the quantity known as zebra${number}}\n`;
    properties.set(file, (properties.get(file) ?? "models:\n") + text);
  };
  for (let at = 0; at < raws; at++) {
    const domain = DOMAINS[at % 10];
    tables.push(`      - {name: ${domain}_${at}, columns: [${typed}]}`);
    const name = `raw_${domain}_${at}`;
    write(folder, `models/raw/${domain}/${name}.sql`, `select ${columns.join(", ")} from {{ source('api', '${domain}_${at}') }}\n`);
    note(`models/raw/${domain}/schema.yml`, name, at, "raw");
    made.push({ name, domain, stage: 0 });
  }
  write(folder, "models/raw/sources.yml", `sources:\n  - name: api\n    schema: main\n    tables:\n${tables.join("\n")}\n`);
  const build = (/** @type {string} */ layer, /** @type {number} */ total, /** @type {string} */ prefix, /** @type {number} */ folders) => {
    const floor = layer === "serving" ? raws : 0;
    for (let at = 0; at < total; at++) {
      const domain = DOMAINS[at % 10];
      const part = Math.floor((at / total) * folders);
      // Parents are near in time and mostly of the same domain, so that the graph is deep as well as wide.
      const pool = made.slice(Math.max(floor, made.length - 150));
      const own = pool.filter((one) => one.domain === domain);
      const first = own.length ? pick(own) : pick(pool);
      const second = next() < 0.2 || own.length < 2 ? pick(pool) : pick(own);
      const name = `${prefix}_${domain}_${at}`;
      const list = columns.map((column, place) => (place < 2 ? `a.${column}` : place % 3 === 0 ? `a.${column} + coalesce(b.${column}, 0) as ${column}` : `a.${column}`));
      const join = first === second ? "" : `left join {{ ref('${second.name}') }} as b on a.id = b.id`;
      const sql = first === second ? columns.join(", ") : list.join(", ");
      write(folder, `models/${layer}/${domain}/${folders > 1 ? `part${part}/` : ""}${name}.sql`, `select ${sql} from {{ ref('${first.name}') }} as a ${join}\n`);
      note(`models/${layer}/${domain}/schema.yml`, name, at, layer);
      made.push({ name, domain, stage: at });
    }
  };
  build("curated", curated, "cur", count > 1000 ? 8 : 1);
  build("serving", serving, "mart", count > 1000 ? 3 : 1);
  for (const [file, text] of properties) write(folder, file, text);
}

export const LONG = `a_very_long_name_${"that_goes_on_and_on_".repeat(9)}x`;

/** Names and texts that want to be markup, paths or each other.
 * @param {string} folder */
export function hostile(folder) {
  const evil = `<script>window.hacked=1</script><img src=x onerror="window.hacked=2">"onerror=window.hacked=3 </script><!-- [x](javascript:window.hacked=4) <a href="javascript:window.hacked=5">y</a>`;
  write(folder, "kiln.yml", `name: hostile\nversion: "1.0.0"\nseverities: {contract-missing: off}\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\nvars: {token: "{{ env_var('KILN_TEST_SECRET', 'x') }}"}\n`);
  /** @type {[string, string][]} */
  const models = [
    ["index", "select 1 as a"],
    ["Orders", "select a from {{ ref('index') }}"],
    ["orders_", "select a from {{ ref('Orders') }}"],
    [LONG, `select a as "${"b".repeat(190)}" from {{ ref('index') }}`],
    ["con", "select a from {{ ref('index') }}"],
    ["emoji", "select a as \"<script>window.hacked=6</script>\", a as \"\"\"onerror=\" from {{ ref('index') }}"],
    ["مبيعات", "select * from {{ ref('emoji') }}"],
    ["script", "select '</script><script>window.hacked=7</script>' as html, a from {{ ref('index') }} -- </script><script>window.hacked=8</script>"],
  ];
  for (const [name, sql] of models) write(folder, `models/curated/${name}.sql`, `${sql}\n`);
  const quoted = JSON.stringify(evil);
  write(
    folder,
    "models/curated/schema.yml",
    `sources:\n  - name: "<b>src</b>"\n    description: ${quoted}\n    tables:\n      - {name: "../../up", description: ${quoted}, columns: [{name: ${quoted}, data_type: bigint}]}\n` +
      `exposures:\n  - {name: "../<i>board</i> 🔥", type: dashboard, label: ${quoted}, description: ${quoted}, owner: {name: ${quoted}}, depends_on: ["ref('index')"]}\n` +
      `models:\n${models.map(([name]) => `  - name: ${JSON.stringify(name)}\n    description: ${quoted}\n    config: {tags: [${quoted}], meta: {owner: ${quoted}}}\n    columns:\n      - {name: a, description: ${quoted}}\n`).join("")}`,
  );
}

/** A model whose column lineage cannot be known, read by another.
 * @param {string} folder */
export function unknown(folder) {
  write(folder, "kiln.yml", `name: puzzle\nversion: "1.0.0"\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n`);
  write(folder, "models/curated/first.sql", "select 1 as a, 2 as b\n");
  write(folder, "models/curated/second.sql", "select f.b, s.value as a from {{ ref('first') }} as f cross join duckdb_settings() as s\n");
  write(folder, "models/curated/third.sql", "select a from {{ ref('second') }}\n");
  write(folder, "models/curated/wide.sql", "pivot {{ ref('first') }} on a using sum(b)\n");
}

/** @param {string} folder */
export function empty(folder) {
  write(folder, "kiln.yml", `name: nothing\nversion: "1.0.0"\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n`);
}

/** @param {string} folder */
export function single(folder) {
  empty(folder);
  write(folder, "models/curated/only.sql", "select 1 as a\n");
}
