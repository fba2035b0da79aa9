//! CSV: headers are read here, values by DuckDB. Objects with the same header are read in one scan; its reject tables
//! say which rows did not fit, and in which line.
//!
//! Nothing is sniffed but types: the delimiter is found in the header, the quote is `"` unless `options:` say
//! otherwise. A sniffer that looks at rows changes its mind with the rows.

use std::io::Read;

use crate::sql::quote::{identifier, literal};

use super::drift::{KnownColumn, Shape, same};
use super::header::{Marks, likely_delimiter, skip_to_header};
use super::infer::{CANDIDATES, Unknown, infer};
use super::json::{is_nested, lossy, misfit, reasons};
use super::options::{Header, Untyped};
use super::scan::{Context, Grouping, Trouble, Unit, file_list, path_pattern};
use super::{Failed, Object, PendingObject, SourceColumn};

/// Reject tables of the scan that runs; temporary, dropped after each use.
const REJECTS: &str = "_kiln_rejects";
const REJECTS_SCAN: &str = "_kiln_rejects_scan";
/// A separator that text does not hold, to read whole lines.
pub(super) const NO_SEPARATOR: &str = "\u{1}";
/// A header is looked for in this many bytes.
const HEADER_BYTES: u64 = 256 * 1024;
/// Without `sample_size`, files up to this size are read whole to find types, larger ones this many rows.
const READ_WHOLE: u64 = 64 << 20;
const SAMPLE_ROWS: u64 = 1_000_000;

/// What a CSV object is, beyond its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CsvShape {
    /// Its columns.
    pub shape: Shape,
    /// Between its values.
    delimiter: String,
    /// Records before the first row, the header among them. DuckDB does not count comments in `skip`, and takes an
    /// empty first line for the header, so the header is skipped here rather than left to `header = true`.
    skip: usize,
    /// Whether there is text after the header.
    rows: Rows,
}

impl CsvShape {
    /// What stands between its values.
    pub fn delimiter(&self) -> &str {
        &self.delimiter
    }
}

/// Whether something follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    Some,
    None,
}

/// Reads the header of each object.
pub(super) fn shapes(context: &Context<'_>, objects: &[&PendingObject]) -> Vec<Result<CsvShape, Failed>> {
    let declared: Vec<String> = context.source.columns.iter().map(|column| column.name.clone()).collect();
    objects.iter().map(|object| shape(context, object, &declared)).collect()
}

fn shape(context: &Context<'_>, object: &PendingObject, declared: &[String]) -> Result<CsvShape, Failed> {
    let failed = |reason: String, help: Option<&str>| Failed {
        object: object.object.name.clone(),
        reason,
        help: help.map(str::to_owned),
    };
    let options = &context.options;
    let given = options.delimiter.clone();
    let lines = first_lines(context, object).map_err(|(reason, help)| failed(reason, help.as_deref()))?;
    let (text, skip) = skip_to_header(&lines, options.skip, options.comment.as_deref());
    if text.is_empty() {
        let delimiter = given.unwrap_or_else(|| ",".to_owned());
        return Ok(CsvShape { shape: Shape::Empty, delimiter, skip, rows: Rows::None });
    }
    let quote = options.quote.as_deref().unwrap_or("\"");
    let escape = options.escape.as_deref().unwrap_or(quote);
    let delimiter = given.unwrap_or_else(|| likely_delimiter(text, quote, escape, context.known_names()));
    let marks = Marks { delimiter: &delimiter, quote, escape };
    let before = &lines[..lines.len() - text.len()];
    // Told to be lenient, DuckDB goes on after such a quote.
    let strict = options.get("strict_mode") != Some("false");
    if let (true, Some(line)) = (strict, marks.astray(before, options.comment.as_deref())) {
        let reason =
            format!("line {line}, before its header: a quote does not close in the line it opens in");
        return Err(failed(reason, Some("rows behind it would be lost: remove the quote from the file")));
    }
    if options.header == Header::Absent {
        if declared.is_empty() {
            let help = "declare the source's `columns` in the order of the file";
            return Err(failed("it has no header, and no columns are declared".to_owned(), Some(help)));
        }
        let columns = declared.iter().map(|name| KnownColumn { name: name.clone(), data_type: None });
        return Ok(CsvShape { shape: Shape::Columns(columns.collect()), delimiter, skip, rows: Rows::Some });
    }
    let mut names: Vec<String> = Vec::new();
    let (header, rest) = marks.record(text);
    let swallowed = |name: &String| name.contains('\n') && name.contains(&delimiter);
    let whole = marks.end(text) == Some(text.len() - rest.len());
    if strict && (!whole || header.iter().any(swallowed)) {
        let reason = "a quote in its header is not closed or has text after it".to_owned();
        return Err(failed(reason, Some("rows behind it would be lost: mend the header in the file")));
    }
    let (rest, _) = skip_to_header(rest, 0, options.comment.as_deref());
    let rows = if rest.is_empty() { Rows::None } else { Rows::Some };
    for (index, name) in header.into_iter().enumerate() {
        let name = match name.trim() {
            "" => format!("column{index}"),
            name => name.to_owned(),
        };
        if let Some(before) = names.iter().find(|before| same(before, &name)) {
            let reason = match *before == name {
                true => format!("its header has `{name}` twice"),
                false => format!("its header has `{before}` and `{name}`, which are one name to DuckDB"),
            };
            return Err(failed(reason, Some("rename one of the columns in the file")));
        }
        names.push(name);
    }
    let columns = names.into_iter().map(|name| KnownColumn { name, data_type: None });
    Ok(CsvShape { shape: Shape::Columns(columns.collect()), delimiter, skip: skip + 1, rows })
}

/// The beginning of a file as text: read here where it is plain, by DuckDB where it is compressed or encoded.
fn first_lines(context: &Context<'_>, object: &PendingObject) -> Result<String, (String, Option<String>)> {
    let path = &object.object.path;
    if context.is_plain(path) {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| (format!("cannot read it: {error}"), None))?;
        let read = file.take(HEADER_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| (format!("cannot read it: {error}"), None))?;
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let help = "add `encoding: utf-16` to its `options`".to_owned();
            return Err(("it is UTF-16, not UTF-8".to_owned(), Some(help)));
        }
        let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(&bytes);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // Rows are DuckDB's to judge; here the header has to be whole, and the cut may split a character.
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        };
        if text.lines().nth(context.options.skip).is_none() && text.len() < bytes.len() {
            return Err(not_utf8());
        }
        let cut_inside_header = text.len() < bytes.len() && !text.contains(['\n', '\r']);
        return if cut_inside_header { Err(not_utf8()) } else { Ok(text.to_owned()) };
    }
    let lines = context.lines(path, context.options.skip + 64);
    let lines = lines.map_err(|error| (reason_of(&super::text_of(&error), &object.object), None))?;
    Ok(lines.join("\n"))
}

fn not_utf8() -> (String, Option<String>) {
    let help = "add `encoding: latin-1` (or what it is) to its `options`".to_owned();
    ("it is not UTF-8".to_owned(), Some(help))
}

/// DuckDB's message about an object, with the object's name in it rather than its whole path.
pub(super) fn reason_of(message: &str, object: &Object) -> String {
    let text = super::first_lines(message).lines().next().unwrap_or_default();
    let path = object.path.display().to_string();
    let text = text.replace(&format!(": {path}"), "").replace(&path, &object.name);
    let text = text.split_once("Error: ").map_or(text.as_str(), |(_, rest)| rest);
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    (first + chars.as_str()).trim_end_matches('.').to_owned()
}

/// The call that reads objects of one header; `types` are those of the header's columns.
fn reader(context: &Context<'_>, paths: &str, shape: &CsvShape, types: &[String], end: &str) -> String {
    let Shape::Columns(columns) = &shape.shape else { return String::new() };
    let columns: Vec<String> = columns
        .iter()
        .zip(types)
        .map(|(column, data_type)| format!("{}: {}", literal(&column.name), literal(data_type)))
        .collect();
    let options = &context.options;
    let quote = options.quote.as_deref().unwrap_or("\"");
    let escape = options.escape.as_deref().unwrap_or(quote);
    format!(
        "read_csv({paths}, auto_detect = false, columns = {{{}}}, header = false, skip = {}, delim = {}, quote = {}, escape = {}, \
         filename = '_kiln_path'{}{end})",
        columns.join(", "),
        shape.skip,
        literal(&shape.delimiter),
        literal(quote),
        literal(escape),
        options.arguments(),
    )
}

/// Finds types for columns that have none, over all objects that hold them.
pub(super) fn types(
    context: &Context<'_>,
    objects: &[&PendingObject],
    shapes: &[CsvShape],
    wanted: &[String],
) -> Result<Vec<Option<String>>, Trouble> {
    let mut found: Vec<Option<String>> = vec![None; wanted.len()];
    if wanted.is_empty() || context.options.untyped == Untyped::Varchar {
        return Ok(found);
    }
    for (_, indexes) in groups(shapes, Grouping::Together, |_| Care::Usual) {
        let shape = &shapes[indexes[0]];
        let Shape::Columns(columns) = &shape.shape else { continue };
        let here: Vec<(usize, &KnownColumn)> = wanted
            .iter()
            .enumerate()
            .filter_map(|(at, name)| Some((at, columns.iter().find(|column| same(&column.name, name))?)))
            .collect();
        if here.is_empty() {
            continue;
        }
        let size: u64 = indexes.iter().map(|index| objects[*index].object.size).sum();
        let limit = context.options.sample_size.or((size > READ_WHOLE).then_some(SAMPLE_ROWS));
        let paths = file_list(indexes.iter().map(|index| objects[*index].object.path.as_path()));
        let text = vec!["VARCHAR".to_owned(); columns.len()];
        let from = reader(context, &paths, shape, &text, ", ignore_errors = true");
        let unknown = here
            .iter()
            .map(|(_, column)| Unknown { text: identifier(&column.name), candidates: CANDIDATES.to_vec() });
        let types = infer(context.conn, &from, unknown.collect(), limit).map_err(Trouble::statement)?;
        for ((at, _), data_type) in here.into_iter().zip(types) {
            let Some(data_type) = data_type else { continue };
            found[at] = Some(match found[at].take() {
                Some(before) => super::infer::union(&before, data_type),
                None => data_type.to_owned(),
            });
        }
    }
    Ok(found)
}

/// Indexes of objects that are read together: same header, same delimiter. Empty ones are in none.
fn groups(shapes: &[CsvShape], grouping: Grouping, care: impl Fn(usize) -> Care) -> Vec<(Care, Vec<usize>)> {
    let mut groups: Vec<(Care, Vec<usize>)> = Vec::new();
    let mut by_shape = std::collections::HashMap::new();
    for (index, shape) in shapes.iter().enumerate() {
        let Shape::Columns(columns) = &shape.shape else { continue };
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let apart = if grouping == Grouping::Apart { index } else { 0 };
        let key = (apart, care(index), &shape.delimiter, shape.skip, names);
        let at = *by_shape.entry(key).or_insert(groups.len());
        if at == groups.len() {
            groups.push((care(index), Vec::new()));
        }
        groups[at].1.push(index);
    }
    groups
}

/// How columns are read whose values the reader may change without a word, as it rounds `1.5` to `2` for an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Care {
    /// By the reader, which tells the line of what does not fit; a second scan looks for what would be changed.
    Usual,
    /// As text that is cast, since the second scan found something. Misfits of these columns have no line then.
    Exact,
}

/// What to read, and how to find what did not fit.
pub(super) fn units(
    context: &Context<'_>,
    objects: &[&PendingObject],
    shapes: &[CsvShape],
    columns: &[SourceColumn],
    grouping: Grouping,
) -> Vec<Unit> {
    let care = |index: usize| match context.exact.contains(&objects[index].object.name) {
        true => Care::Exact,
        false => Care::Usual,
    };
    groups(shapes, grouping, care)
        .into_iter()
        .map(|(care, indexes)| unit(context, objects, &shapes[indexes[0]], indexes, columns, care))
        .collect()
}

/// A condition that holds for text that the reader takes for a type although something is lost. A format for times that is
/// given says what to do with offsets.
fn changed(context: &Context<'_>, data_type: &str, text: &str) -> Option<String> {
    let format =
        ["timestampformat", "timestamp_format"].iter().any(|name| context.options.get(name).is_some());
    lossy(data_type, text).filter(|_| !(format && data_type.starts_with("TIMESTAMP")))
}

/// Whether a type is never left to the reader. It reads memory that is not its own, and may crash, where the text of a
/// STRUCT does not fit and rejects are stored (DuckDB 2.0.0).
fn is_read_as_text(data_type: &str) -> bool {
    (is_nested(data_type) && data_type != "JSON") || data_type.starts_with("UNION")
}

fn unit(
    context: &Context<'_>,
    objects: &[&PendingObject],
    shape: &CsvShape,
    indexes: Vec<usize>,
    columns: &[SourceColumn],
    care: Care,
) -> Unit {
    let Shape::Columns(header) = &shape.shape else { unreachable!("groups hold no empty object") };
    let types: Vec<String> = header
        .iter()
        .map(|name| columns.iter().find(|column| same(&column.name, &name.name)))
        .map(|column| column.map_or("VARCHAR", |column| &column.data_type).to_owned())
        .collect();
    let is_cast_here = |data_type: &str| {
        is_read_as_text(data_type) || (care == Care::Exact && changed(context, data_type, "NULL").is_some())
    };
    // The types that the reader casts to.
    let read: Vec<String> = types
        .iter()
        .map(|data_type| if is_cast_here(data_type) { "VARCHAR".to_owned() } else { data_type.clone() })
        .collect();
    let mut values = Vec::new();
    let mut misfits = Vec::new();
    let mut lost = Vec::new();
    for column in columns {
        let name = identifier(&column.name);
        let Some(found) = header.iter().find(|found| same(&found.name, &column.name)) else {
            values.push(format!("CAST(NULL AS {}) AS {name}", column.data_type));
            continue;
        };
        let there = identifier(&found.name);
        if is_cast_here(&column.data_type) {
            let cast = match is_nested(&column.data_type) {
                true => format!("TRY(CAST({there} AS {}))", column.data_type),
                false => format!("TRY_CAST({there} AS {})", column.data_type),
            };
            values.push(format!("{cast} AS {name}"));
            misfits.push(misfit(column, &there, &cast));
        } else {
            lost.extend(changed(context, &column.data_type, &there));
            values.push(format!("{there} AS {name}"));
        }
    }
    let paths = file_list(indexes.iter().map(|index| objects[*index].object.path.as_path()));
    let keep = format!(
        ", store_rejects = true, rejects_limit = 0, rejects_table = '{REJECTS}', rejects_scan = '{REJECTS_SCAN}'"
    );
    let from = reader(context, &paths, shape, &read, &keep);
    let (why, first) = reasons(&misfits);
    let mut rejected = rejects(header, &types);
    if !misfits.is_empty() {
        let again = reader(context, &paths, shape, &read, ", ignore_errors = true");
        let row: Vec<String> = header
            .iter()
            .map(|name| format!("{}: {}::VARCHAR", literal(&name.name), identifier(&name.name)))
            .collect();
        rejected.push_str(&format!(
            " UNION ALL SELECT _kiln_path, NULL, {first}, {why}, to_json({{{}}})::VARCHAR, false FROM {again} WHERE {why} <> ''",
            row.join(", ")
        ));
    }
    let check = match lost.is_empty() {
        true => String::new(),
        false => {
            let text = vec!["VARCHAR".to_owned(); header.len()];
            let again = reader(context, &paths, shape, &text, ", ignore_errors = true");
            format!("SELECT DISTINCT _kiln_path FROM {again} WHERE {}", lost.join(" OR "))
        }
    };
    Unit {
        objects: indexes,
        select: format!("SELECT {}, _kiln_path FROM {from} WHERE {why} = ''", values.join(", ")),
        rejects: rejected,
        check,
        clean_up: format!(
            "DROP TABLE IF EXISTS temp.main.{REJECTS}; DROP TABLE IF EXISTS temp.main.{REJECTS_SCAN};"
        ),
    }
}

/// Checks an object that gave no row although it has text after its header. DuckDB's parser, told what to skip, can
/// swallow a file whole: a quote in a skipped line that does not close, or line ends of two kinds.
pub(super) fn read_nothing(
    context: &Context<'_>,
    object: &PendingObject,
    shape: &CsvShape,
) -> duckdb::Result<Option<Failed>> {
    let Shape::Columns(columns) = &shape.shape else { return Ok(None) };
    if shape.rows == Rows::None {
        return Ok(None);
    }
    let text = vec!["VARCHAR".to_owned(); columns.len()];
    let from = reader(context, &path_pattern(&object.object.path), shape, &text, "");
    let rows: duckdb::Result<i64> =
        context.conn.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0));
    Ok((rows? == 0).then(|| Failed {
        object: object.object.name.clone(),
        reason: "no row can be read after its header, though there is text".to_owned(),
        help: Some("look for quotes that do not close and for mixed line ends at its start".to_owned()),
    }))
}

/// The rejected rows of the scan that ran: one a line, with all its reasons. A model that reads its source twice
/// finds them twice.
fn rejects(header: &[KnownColumn], types: &[String]) -> String {
    let types: Vec<String> = header
        .iter()
        .zip(types)
        .map(|(column, data_type)| format!("({}, {})", literal(&column.name), literal(data_type)))
        .collect();
    format!(
        "SELECT path, line, arg_min(\"column\", place) AS \"column\", string_agg(reason, '; ' ORDER BY place) || CASE \
             WHEN contains(any_value(raw), e'\\n') THEN '; the row reaches to line ' || (line + length(any_value(raw)) - \
               length(replace(any_value(raw), e'\\n', '')))::BIGINT ELSE '' END AS reason, \
           any_value(raw) AS raw, bool_or(not_utf8) AS not_utf8 \
         FROM (SELECT s.file_path AS path, e.line::BIGINT AS line, e.column_name AS \"column\", min(e.column_idx) AS place, \
           CASE \
             WHEN e.error_type = 'CAST' THEN '`' || e.column_name || '`: `' || \
               left(regexp_extract(e.error_message, 'Could not convert string \"(.*)\" to ''[^'']*''', 1, 's'), 200) || \
               '` is not ' || coalesce(t.data_type, 'of its type') \
             WHEN e.error_type IN ('MISSING COLUMNS', 'TOO MANY COLUMNS') THEN '{count} values expected, found ' || \
               regexp_extract(e.error_message, 'Found: (\\d+)', 1) \
             WHEN e.error_type = 'UNQUOTED VALUE' THEN 'a quote is not closed or has text after it' \
             WHEN e.error_type = 'LINE SIZE OVER MAXIMUM' THEN 'the line is longer than `max_line_size`' \
             ELSE lower(e.error_type::VARCHAR) END AS reason, \
           trim(any_value(e.csv_line), e'\\r\\n') AS raw, \
           bool_or(e.error_type = 'INVALID ENCODING') AS not_utf8 \
           FROM temp.main.{REJECTS} e JOIN temp.main.{REJECTS_SCAN} s USING (scan_id, file_id) \
           LEFT JOIN (VALUES {types}) t(column_name, data_type) ON t.column_name = e.column_name \
           WHERE e.error_type <> 'MISSING COLUMNS' OR NOT EXISTS (SELECT 1 FROM temp.main.{REJECTS} f \
             WHERE f.scan_id = e.scan_id AND f.file_id = e.file_id AND f.line = e.line \
               AND f.error_type = 'MISSING COLUMNS' AND f.column_idx < e.column_idx) \
           GROUP BY ALL) \
         GROUP BY path, line",
        count = header.len(),
        types = types.join(", "),
    )
}

/// A scan of the lines of files: `l`, and the path.
pub(super) fn line_reader(context: &Context<'_>, paths: &str, end: &str) -> String {
    let pass = ["compression", "encoding"];
    let passed: String =
        pass.iter().filter_map(|name| Some(format!(", {name} = {}", context.options.get(name)?))).collect();
    format!(
        "read_csv({paths}, auto_detect = false, columns = {{'l': 'VARCHAR'}}, header = false, delim = {}, quote = '', \
         escape = '', filename = '_kiln_path'{passed}{end})",
        literal(NO_SEPARATOR)
    )
}

impl Context<'_> {
    /// The first lines of one file, decompressed.
    fn lines(&self, path: &std::path::Path, count: usize) -> duckdb::Result<Vec<String>> {
        let from = line_reader(self, &path_pattern(path), ", ignore_errors = true, null_padding = true");
        let mut statement =
            self.conn.prepare(&format!("SELECT coalesce(l, '') FROM {from} LIMIT {count}"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        lines.collect()
    }
}
