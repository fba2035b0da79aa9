//! JSON: the records of a transaction's objects are staged as documents with the line they stood in, and columns are
//! taken out of them with casts that may fail. Nested values stay JSON unless a column declares otherwise.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::FileFormat;
use crate::sql::data_type::Type;
use crate::sql::quote::{identifier, literal};

use super::csv::line_reader;
use super::drift::{KnownColumn, Shape, same};
use super::infer::{OFFSET, Unknown, infer};
use super::scan::{Context, Grouping, Trouble, Unit, file_list};
use super::{PendingObject, SourceColumn, nested};

const STAGE: &str = "temp.main._kiln_json";

/// The keys of an object and the JSON types of their values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonShape {
    /// Its columns: keys that differ in case only are one.
    pub shape: Shape,
    /// Each key as written, with what `json_group_structure` says of it.
    keys: Vec<(String, Value)>,
}

/// Stages all records and reads the keys of each object.
pub(super) fn shapes(context: &Context<'_>, objects: &[&PendingObject]) -> Result<Vec<JsonShape>, Trouble> {
    stage(context, objects).map_err(Trouble::statement)?;
    let structures = structures(context).map_err(Trouble::statement)?;
    let shape = |object: &&PendingObject| match structures.get(object.object.path.to_string_lossy().as_ref())
    {
        None => JsonShape { shape: Shape::Empty, keys: Vec::new() },
        Some(keys) => {
            let mut columns: Vec<KnownColumn> = Vec::new();
            for (key, _) in keys {
                if !columns.iter().any(|column| same(&column.name, key)) {
                    columns.push(KnownColumn { name: key.clone(), data_type: None });
                }
            }
            JsonShape { shape: Shape::Columns(columns), keys: keys.clone() }
        }
    };
    Ok(objects.iter().map(shape).collect())
}

fn stage(context: &Context<'_>, objects: &[&PendingObject]) -> duckdb::Result<()> {
    let table = "CREATE OR REPLACE TEMP TABLE _kiln_json (path VARCHAR, line BIGINT, raw VARCHAR, doc JSON)";
    context.conn.execute_batch(table)?;
    let filled: Vec<&&PendingObject> = objects.iter().filter(|object| object.object.size > 0).collect();
    if filled.is_empty() {
        return Ok(());
    }
    if context.files.format == FileFormat::NdJson {
        let paths = file_list(filled.iter().map(|object| object.object.path.as_path()));
        let from = line_reader(context, &paths, ", max_line_size = 268435456");
        // The scan keeps the order of lines and files, so a line's number is its distance from its file's first one.
        let sql = format!(
            "INSERT INTO {STAGE} \
             WITH lines AS MATERIALIZED (SELECT _kiln_path AS path, row_number() OVER () AS n, l FROM {from}), \
             first AS (SELECT path, min(n) AS n FROM lines GROUP BY path) \
             SELECT path, lines.n - first.n + 1, l, TRY_CAST(l AS JSON) FROM lines JOIN first USING (path) \
             WHERE trim(l, e' \\t\\r\\n') <> ''"
        );
        return context.conn.execute_batch(&sql);
    }
    // `auto` takes an array after a byte order mark for one record, so the first character decides.
    let (arrays, records): (Vec<&PendingObject>, Vec<&PendingObject>) =
        filled.into_iter().copied().partition(|object| is_array(context, object));
    for (format, group) in [("array", arrays), ("unstructured", records)] {
        if group.is_empty() {
            continue;
        }
        let paths = file_list(group.iter().map(|object| object.object.path.as_path()));
        let arguments = context.options.arguments();
        let sql = format!(
            "INSERT INTO {STAGE} SELECT _kiln_path, NULL, json::VARCHAR, json \
             FROM read_json_objects({paths}, format = '{format}', filename = '_kiln_path'{arguments})"
        );
        context.conn.execute_batch(&sql)?;
    }
    Ok(())
}

/// Whether a JSON file is one array.
fn is_array(context: &Context<'_>, object: &PendingObject) -> bool {
    let path = super::scan::path_pattern(&object.object.path);
    let from = line_reader(context, &path, ", ignore_errors = true, max_line_size = 268435456");
    let sql =
        format!("SELECT left(ltrim(l, e' \\t\\r'), 1) FROM {from} WHERE trim(l, e' \\t\\r') <> '' LIMIT 1");
    let first: duckdb::Result<String> = context.conn.query_row(&sql, [], |row| row.get(0));
    first.is_ok_and(|first| first == "[")
}

type Structures = BTreeMap<String, Vec<(String, Value)>>;

fn structures(context: &Context<'_>) -> duckdb::Result<Structures> {
    let sql = format!(
        "SELECT path, json_group_structure(doc)::VARCHAR FROM {STAGE} WHERE json_type(doc) = 'OBJECT' GROUP BY path"
    );
    let mut statement = context.conn.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut all = Structures::new();
    for row in rows {
        let (path, structure) = row?;
        let keys: serde_json::Map<String, Value> = serde_json::from_str(&structure).unwrap_or_default();
        all.insert(path, keys.into_iter().collect());
    }
    Ok(all)
}

/// The text of a column: of whichever of its keys has a value.
fn text(keys: &[&str]) -> String {
    let values: Vec<String> =
        keys.iter().map(|key| format!("json_extract_string(doc, {})", pointer(key))).collect();
    match values.as_slice() {
        [one] => one.clone(),
        many => format!("coalesce({})", many.join(", ")),
    }
}

/// A column's value in its type.
fn value(keys: &[&str], data_type: &str) -> String {
    if data_type == "VARCHAR" {
        return text(keys);
    }
    if is_nested(data_type) {
        return format!("TRY_CAST(coalesce({}, NULL) AS {data_type})", documents(keys).join(", "));
    }
    format!("TRY_CAST({} AS {data_type})", text(keys))
}

/// The JSON of a column under each of its keys, NULL where it says `null`.
fn documents(keys: &[&str]) -> Vec<String> {
    let document = |key: &&str| {
        let pointer = pointer(key);
        format!(
            "CASE WHEN json_extract_string(doc, {pointer}) IS NOT NULL THEN json_extract(doc, {pointer}) END"
        )
    };
    keys.iter().map(document).collect()
}

pub(super) fn is_nested(data_type: &str) -> bool {
    data_type == "JSON"
        || data_type.ends_with(']')
        || data_type.starts_with("STRUCT")
        || data_type.starts_with("MAP")
}

/// A JSON pointer to a key of the record.
pub(super) fn pointer(key: &str) -> String {
    literal(&format!("/{}", key.replace('~', "~0").replace('/', "~1")))
}

/// Keys of a column over all objects.
fn spellings<'a>(shapes: &'a [JsonShape], column: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for (key, _) in shapes.iter().flat_map(|shape| &shape.keys) {
        if same(key, column) && !found.contains(&key.as_str()) {
            found.push(key);
        }
    }
    found
}

/// Finds types for columns that have none.
pub(super) fn types(
    context: &Context<'_>,
    shapes: &[JsonShape],
    wanted: &[String],
) -> Result<Vec<Option<String>>, Trouble> {
    let mut found: Vec<Option<String>> = vec![None; wanted.len()];
    let mut asked = Vec::new();
    let mut unknown = Vec::new();
    for (at, name) in wanted.iter().enumerate() {
        let kinds: Vec<&Value> = shapes
            .iter()
            .flat_map(|shape| &shape.keys)
            .filter(|(key, kind)| same(key, name) && kind != "NULL")
            .map(|(_, kind)| kind)
            .collect();
        if kinds.is_empty() {
            continue;
        }
        if kinds.iter().all(|kind| kind.is_object() || kind.is_array()) {
            found[at] = Some("JSON".to_owned());
            continue;
        }
        let all =
            |names: &[&str]| kinds.iter().all(|kind| kind.as_str().is_some_and(|kind| names.contains(&kind)));
        let candidates = match () {
            () if all(&["BOOLEAN"]) => vec!["BOOLEAN"],
            () if all(&["UBIGINT", "BIGINT", "HUGEINT"]) => vec!["BIGINT", "HUGEINT"],
            () if all(&["UBIGINT", "BIGINT", "HUGEINT", "DOUBLE"]) => vec!["DOUBLE"],
            () if all(&["VARCHAR"]) => vec!["DATE", "TIMESTAMP", "TIME"],
            () => Vec::new(),
        };
        asked.push(at);
        unknown.push(Unknown { text: text(&spellings(shapes, name)), candidates });
    }
    let from = format!("{STAGE} WHERE json_type(doc) = 'OBJECT'");
    let types = infer(context.conn, &from, unknown, None).map_err(Trouble::statement)?;
    for (at, data_type) in asked.into_iter().zip(types) {
        found[at] = data_type.map(str::to_owned);
    }
    Ok(found)
}

/// What to read, and what does not fit.
pub(super) fn units(
    objects: &[&PendingObject],
    shapes: &[JsonShape],
    columns: &[SourceColumn],
    grouping: Grouping,
) -> Vec<Unit> {
    let keys: Vec<Vec<&str>> = columns.iter().map(|column| spellings(shapes, &column.name)).collect();
    let mut values = Vec::new();
    let mut misfits = Vec::new();
    for (column, keys) in columns.iter().zip(&keys) {
        if keys.is_empty() {
            values.push(format!("CAST(NULL AS {}) AS {}", column.data_type, identifier(&column.name)));
            continue;
        }
        values.push(format!("{} AS {}", value(keys, &column.data_type), identifier(&column.name)));
        if column.data_type != "VARCHAR" && column.data_type != "JSON" {
            let mut whole = misfit(column, &text(keys), &value(keys, &column.data_type));
            if is_nested(&column.data_type) {
                let json = format!("coalesce({}, NULL)", documents(keys).join(", "));
                whole = whole.or(nested::misfit(&json, &Type::parse(&column.data_type), &column.name));
            }
            misfits.push(whole);
        }
    }
    let groups: Vec<Vec<usize>> = match grouping {
        Grouping::Together => vec![(0..objects.len()).collect()],
        Grouping::Apart => (0..objects.len()).map(|index| vec![index]).collect(),
    };
    let unit = |indexes: Vec<usize>| {
        let of = match grouping {
            Grouping::Together => String::new(),
            Grouping::Apart => {
                format!(" AND path = {}", literal(&objects[indexes[0]].object.path.to_string_lossy()))
            }
        };
        let (reasons, names) = reasons(&misfits);
        let record = "coalesce(json_type(doc), '') = 'OBJECT'";
        Unit {
            objects: indexes,
            select: format!(
                "SELECT {}, path AS _kiln_path FROM {STAGE} WHERE {record} AND {reasons} = ''{of}",
                values.join(", ")
            ),
            rejects: format!(
                "SELECT path, line, CASE WHEN {record} THEN {names} END AS \"column\", CASE WHEN doc IS NULL THEN 'not valid JSON' \
                 WHEN NOT ({record}) THEN 'not a JSON object' ELSE {reasons} END AS reason, raw, false AS not_utf8 \
                 FROM {STAGE} WHERE (NOT ({record}) OR {reasons} <> ''){of}"
            ),
            check: String::new(),
            clean_up: String::new(),
        }
    };
    groups.into_iter().map(unit).collect()
}

/// A column that values may not fit.
pub(super) struct Misfit {
    name: String,
    condition: String,
    reason: String,
}

impl Misfit {
    /// With a reason that lies inside of the value, an expression, which goes before the one for the whole.
    fn or(mut self, inner: Option<String>) -> Self {
        if let Some(inner) = inner {
            self.condition = format!("({} OR {inner} IS NOT NULL)", self.condition);
            self.reason = format!("coalesce({inner}, {})", self.reason);
        }
        self
    }
}

/// How to tell that a value, given as text and cast, does not fit a column: it is no such value, or would lose something.
pub(super) fn misfit(column: &SourceColumn, text: &str, cast: &str) -> Misfit {
    let mut condition = format!("(({text}) IS NOT NULL AND ({cast}) IS NULL)");
    if let Some(lossy) = lossy(&column.data_type, text) {
        condition = format!("({condition} OR {lossy})");
    }
    let before = literal(&format!("`{}`: `", column.name));
    let after = literal(&format!("` is not {}", column.data_type));
    Misfit {
        name: column.name.clone(),
        condition,
        reason: format!("{before} || left({text}, 200) || {after}"),
    }
}

/// A condition that holds for text that DuckDB casts to a type although something is lost: a fraction as an integer, a
/// time with an offset as a TIMESTAMP (2.0 drops the offset). `None` for types that it casts faithfully.
pub(super) fn lossy(data_type: &str, text: &str) -> Option<String> {
    let integers = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"];
    if integers.iter().any(|integer| data_type.ends_with(integer)) {
        return Some(format!(
            "(contains({text}, '.') AND \
             coalesce(TRY_CAST({text} AS DOUBLE) <> TRY_CAST({text} AS {data_type})::DOUBLE, false))"
        ));
    }
    let is_time = data_type.starts_with("TIMESTAMP") && !data_type.ends_with("ZONE");
    is_time.then(|| format!("coalesce(regexp_matches({text}, '{OFFSET}'), false)"))
}

/// SQL for all reasons of a row (empty where it fits) and for the first column that does not fit.
pub(super) fn reasons(misfits: &[Misfit]) -> (String, String) {
    if misfits.is_empty() {
        return ("''".to_owned(), "NULL".to_owned());
    }
    let reasons: Vec<String> = misfits
        .iter()
        .map(|misfit| format!("CASE WHEN {} THEN {} END", misfit.condition, misfit.reason))
        .collect();
    let names: Vec<String> = misfits
        .iter()
        .map(|misfit| format!("WHEN {} THEN {}", misfit.condition, literal(&misfit.name)))
        .collect();
    (format!("concat_ws('; ', {})", reasons.join(", ")), format!("CASE {} END", names.join(" ")))
}
