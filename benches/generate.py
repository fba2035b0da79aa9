#!/usr/bin/env python3
"""Writes the benchmark's projects: one set of models in Kiln's and in dbt's layout, and its floor.

A workload is a folder with three things in it that do the same work:

    kiln/       kiln.yml, models/, seeds/
    dbt/        dbt_project.yml, profiles.yml, and the same models and seeds
    floor.sql   the same statements in dependency order, tests as the count queries that dbt sends

The same arguments always give the same bytes. Every test passes. Two kinds of workload:

    small   many small tables over a few seeds, each built from a few earlier ones
    large   one table of many rows, with a unique and a not_null test unless --tests 0
"""

import argparse
import datetime
import random
import shutil
import sys
from pathlib import Path

NAME = "bench"
LAYER = "curated"
GROUPS = ["north", "east", "south", "west"]
TEST_KINDS = ["unique", "not_null", "accepted_values", "relationships"]
# A model refers to earlier ones this near, so that the graph is deep as well as wide.
REACH = 150
# Models a folder, each folder with one schema.yml.
FOLDER = 50

# The types that columns after `id` and `grp` take in turn, and how two parents' columns make one.
COLUMN_KINDS = [
    ("integer", "({a} + {b}) % 1000"),
    ("double", "({a} + {b}) / 2"),
    ("decimal(12,2)", "cast(({a} + {b}) / 2 as decimal(12,2))"),
    ("varchar", "case when {a} < {b} then {a} else {b} end"),
    ("date", "greatest({a}, {b})"),
    ("boolean", "{a} <> {b}"),
    ("bigint", "coalesce({a}, 0) * 3 % 100000 + {b} % 7"),
    ("varchar", "substr(upper({a}) || lower({b}), 1, 12)"),
]


class Node:
    """A seed or a model: its name, schema and parents, and the tests declared on it."""

    def __init__(self, name, schema, parents=()):
        self.name = name
        self.schema = schema
        self.parents = list(parents)
        self.tests = []

    @property
    def relation(self):
        return f"{self.schema}.{self.name}"


def columns(count):
    """`(name, type, expression)` of every column; the expression is None for the first two."""
    named = [("id", "bigint", None), ("grp", "varchar", None)]
    for position in range(3, count + 1):
        kind, expression = COLUMN_KINDS[(position - 3) % len(COLUMN_KINDS)]
        named.append((f"c{position}", kind, expression))
    return named[:count]


def select(node, cols, relation):
    """A model's SELECT; `relation` says how a parent is written."""
    first, *others = node.parents
    lines = ["select", "    a.id,", "    a.grp,"]
    for name, _, expression in cols[2:]:
        other = "b" if others else "a"
        lines.append("    " + expression.format(a=f"a.{name}", b=f"{other}.{name}") + f" as {name},")
    lines[-1] = lines[-1].rstrip(",")
    lines.append(f"from {relation(first)} as a")
    for alias, parent in zip("bcdefghijk", others):
        lines.append(f"join {relation(parent)} as {alias} on {alias}.id = a.id")
    return "\n".join(lines) + "\n"


def seed_rows(rng, cols, rows):
    """The lines of one seed's CSV, header first."""
    yield ",".join(name for name, _, _ in cols)
    start = datetime.date(2026, 1, 1)
    for row in range(1, rows + 1):
        values = []
        for name, kind, _ in cols:
            if name == "id":
                values.append(str(row))
            elif name == "grp":
                values.append(rng.choice(GROUPS))
            elif kind == "integer":
                values.append(str(rng.randrange(1000)))
            elif kind == "bigint":
                values.append(str(rng.randrange(100_000)))
            elif kind == "double":
                values.append(f"{rng.random() * 100:.6f}")
            elif kind == "decimal(12,2)":
                values.append(f"{rng.randrange(1_000_000) / 100:.2f}")
            elif kind == "date":
                values.append((start + datetime.timedelta(days=rng.randrange(365))).isoformat())
            elif kind == "boolean":
                values.append(rng.choice(["true", "false"]))
            else:
                values.append("".join(rng.choice("abcdefghijklmnop") for _ in range(8)))
        yield ",".join(values)


def spread_tests(models, count):
    """Gives every model its share of `count` tests, of every kind alike: at most one of a kind each."""
    if count > len(TEST_KINDS) * len(models):
        sys.exit(f"at most {len(TEST_KINDS)} tests a model: {len(TEST_KINDS) * len(models)}, not {count}")
    for test in range(count):
        turn, position = divmod(test, len(models))
        models[position].tests.append(TEST_KINDS[(position + turn) % len(TEST_KINDS)])


def test_sql(node, kind):
    """The rows that fail, in the words of dbt's own generic tests, below its count."""
    if kind == "unique":
        rows = (
            "select id as unique_field, count(*) as n_records\n"
            f"from {node.relation} where id is not null group by id having count(*) > 1"
        )
    elif kind == "not_null":
        rows = f"select id from {node.relation} where id is null"
    elif kind == "accepted_values":
        values = ",".join(f"'{group}'" for group in GROUPS)
        rows = (
            f"with all_values as (select grp as value_field, count(*) as n_records from {node.relation} group by grp)\n"
            f"select * from all_values where value_field not in ({values})"
        )
    else:
        rows = (
            f"with child as (select id as from_field from {node.relation} where id is not null),\n"
            f"parent as (select id as to_field from {node.parents[0].relation})\n"
            "select from_field from child left join parent on child.from_field = parent.to_field\n"
            "where parent.to_field is null"
        )
    return (
        "select count(*) as failures, count(*) != 0 as should_warn, count(*) != 0 as should_error from (\n"
        f"{rows}\n) as failing"
    )


def test_yaml(node, kind, dialect):
    """A test under its column, indented to stand there. dbt v2 wants its arguments under `arguments`."""
    if kind in ("unique", "not_null"):
        return [f"          - {kind}"]
    if kind == "accepted_values":
        arguments = [f"values: [{', '.join(GROUPS)}]"]
    else:
        arguments = [f"to: ref('{node.parents[0].name}')", "field: id"]
    lines = [f"          - {kind}:"]
    if dialect == "dbt":
        lines.append("              arguments:")
        return lines + [f"                {line}" for line in arguments]
    return lines + [f"              {line}" for line in arguments]


def schema_yaml(nodes, names, dialect):
    """schema.yml of one folder: every model with all of its columns and its tests."""
    lines = ["version: 2", "models:"]
    for node in nodes:
        lines += [f"  - name: {node.name}", f"    description: generated model {node.name}", "    columns:"]
        for name in names:
            lines.append(f"      - name: {name}")
            kinds = [kind for kind in node.tests if (kind == "accepted_values") == (name == "grp")]
            if name in ("id", "grp") and kinds:
                lines.append("        data_tests:")
                for kind in kinds:
                    lines += test_yaml(node, kind, dialect)
    return "\n".join(lines) + "\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_settings(root, threads, has_seeds):
    """Both tools' project files. dbt puts everything, seeds too, in one schema named as Kiln's layer."""
    write(
        root / "kiln" / "kiln.yml",
        f'name: {NAME}\nversion: "1.0.0"\ndefault_target: dev\ntargets:\n'
        f"  dev: {{type: duckdb, path: target/dev.duckdb, threads: {threads}}}\n"
        f"models:\n  {NAME}:\n    {LAYER}:\n      +materialized: table\n",
    )
    write(
        root / "dbt" / "dbt_project.yml",
        f'name: {NAME}\nversion: "1.0.0"\nconfig-version: 2\nprofile: {NAME}\n'
        'model-paths: ["models"]\n' + ('seed-paths: ["seeds"]\n' if has_seeds else "")
        # Nothing may leave the machine while it is measured, and both dbt engines read the flag here.
        + "flags:\n  send_anonymous_usage_stats: false\n"
        f"models:\n  {NAME}:\n    {LAYER}:\n      +materialized: table\n",
    )
    write(
        root / "dbt" / "profiles.yml",
        f"{NAME}:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n"
        f"      path: target/dev.duckdb\n      schema: {LAYER}\n      threads: {threads}\n",
    )


def write_floor(root, statements):
    """Statements end in a semicolon at a line's end, which stands nowhere else."""
    write(root / "floor.sql", "".join(f"{statement};\n" for statement in statements))


def write_small(root, options):
    """The workload of many small models."""
    rng = random.Random(options.seed)
    cols = columns(options.columns)
    names = [name for name, _, _ in cols]
    seeds = [Node(f"seed_{index}", "main") for index in range(options.seeds)]
    nodes = list(seeds)
    models = []
    for index in range(options.models):
        near = nodes[-REACH:] if rng.random() < 0.9 else nodes
        parents = rng.sample(near, min(options.refs, len(near)))
        models.append(Node(f"model_{index:05}", LAYER, parents))
        nodes.append(models[-1])
    spread_tests(models, options.tests)

    write_settings(root, options.threads, has_seeds=True)
    statements = [f"create schema {LAYER}"]
    properties = ["version: 2", "seeds:"]
    for seed in seeds:
        text = "\n".join(seed_rows(rng, cols, options.rows)) + "\n"
        properties += [f"  - name: {seed.name}", "    config:", "      column_types:"]
        properties += [f'        {name}: "{kind}"' for name, kind, _ in cols]
        for dialect in ("kiln", "dbt"):
            write(root / dialect / "seeds" / f"{seed.name}.csv", text)
        types = ", ".join(f"'{name}': '{kind}'" for name, kind, _ in cols)
        statements.append(
            f"create table {seed.relation} as select * from "
            f"read_csv('kiln/seeds/{seed.name}.csv', header = true, columns = {{{types}}})"
        )
    for dialect in ("kiln", "dbt"):
        write(root / dialect / "seeds" / "schema.yml", "\n".join(properties) + "\n")

    for start in range(0, len(models), FOLDER):
        part = models[start : start + FOLDER]
        folder = f"models/{LAYER}/part_{start // FOLDER:03}"
        for dialect in ("kiln", "dbt"):
            write(root / dialect / folder / "schema.yml", schema_yaml(part, names, dialect))
            for model in part:
                sql = select(model, cols, lambda parent: f"{{{{ ref('{parent.name}') }}}}")
                write(root / dialect / folder / f"{model.name}.sql", sql)
    for model in models:
        body = select(model, cols, lambda parent: parent.relation)
        statements.append(f"create table {model.relation} as\n{body.rstrip()}")
    statements += [test_sql(model, kind) for model in models for kind in model.tests]
    write_floor(root, statements)


def write_large(root, options):
    """The workload of one large model, whose work is DuckDB's own."""
    model = Node("large", LAYER)
    model.tests = ["unique", "not_null"][: options.tests]
    sql = (
        "select\n    i as id,\n    hash(i) as h,\n    i % 1000 as grp,\n    i * 0.25 as amount,\n"
        "    date '2026-01-01' + cast(i % 365 as integer) as day,\n    'name ' || (i % 10000) as name,\n"
        f"    i % 3 = 0 as flag\nfrom range({options.rows}) as numbers(i)\n"
    )
    write_settings(root, options.threads, has_seeds=False)
    for dialect in ("kiln", "dbt"):
        folder = root / dialect / "models" / LAYER
        write(folder / "large.sql", sql)
        write(folder / "schema.yml", schema_yaml([model], ["id"], dialect))
    statements = [f"create schema {LAYER}", f"create table {model.relation} as\n{sql.rstrip()}"]
    write_floor(root, statements + [test_sql(model, kind) for kind in model.tests])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write; what is there already is removed")
    parser.add_argument("--kind", choices=["small", "large"], default="small")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--refs", type=int, default=2, help="parents of a model")
    parser.add_argument("--columns", type=int, default=10, help="columns of a model")
    parser.add_argument("--tests", type=int, help="tests in all (default: 2.4 a model; 2 on the large one)")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rows", type=int, help="rows of a seed (default 100), or of the large table (10 million)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    options = parser.parse_args()
    if options.columns < 3 or not 1 <= options.refs <= 8 or options.seeds < options.refs:
        parser.error("--columns from 3, --refs from 1 to 8 and no more than --seeds")
    shutil.rmtree(options.folder, ignore_errors=True)
    if options.kind == "small":
        options.tests = options.models * 12 // 5 if options.tests is None else options.tests
        options.rows = options.rows or 100
        write_small(options.folder, options)
    else:
        options.tests = 2 if options.tests is None else options.tests
        options.rows = options.rows or 10_000_000
        write_large(options.folder, options)


if __name__ == "__main__":
    main()
