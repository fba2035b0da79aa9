//! Inference: the type of a text column that nobody declared. A type is taken only when every value reads as it and
//! none loses anything by it, so `01234` stays text and so does an integer that only a DOUBLE would hold.

use duckdb::Connection;

/// The types that text is tried as, in order.
pub(super) const CANDIDATES: [&str; 7] =
    ["BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE", "DATE", "TIMESTAMP", "TIME"];

/// The end of a time with an offset other than zero, as a regular expression.
pub(super) const OFFSET: &str = ":[0-9.]+ ?[+-][0-9:]*[1-9][0-9:]*$";

/// How many rows choose what is then tried on all.
const FIRST_LOOK: u64 = 1_000;

/// A condition that a value, given as a text expression, has to fulfil to be of a type. A time with an offset other
/// than zero stays text: DuckDB's cast to TIMESTAMP drops the offset without a word, and so do named zones without icu.
fn reads_as(text: &str, data_type: &str) -> String {
    match data_type {
        "BOOLEAN" => format!("lower({text}) IN ('true', 'false')"),
        "BIGINT" | "HUGEINT" => format!("coalesce(TRY_CAST({text} AS {data_type})::VARCHAR = {text}, false)"),
        "DOUBLE" => format!(
            "coalesce(isfinite(TRY_CAST({text} AS DOUBLE)), false) AND NOT regexp_matches({text}, '^\\s|\\s$|_|^[+-]?0[0-9]') \
             AND (length({text}) < 17 OR regexp_matches({text}, '[.eE]'))"
        ),
        "DATE" => format!(
            "TRY_CAST({text} AS DATE) IS NOT NULL AND length({text}) <= 10 AND regexp_matches({text}, '^[0-9]')"
        ),
        "TIMESTAMP" => format!(
            "TRY_CAST({text} AS TIMESTAMP) IS NOT NULL AND regexp_matches({text}, '^[0-9]') \
             AND NOT regexp_matches({text}, '[A-Za-z]{{2}}|{OFFSET}')"
        ),
        // A whole timestamp casts to TIME as well.
        _ => format!(
            "TRY_CAST({text} AS {data_type}) IS NOT NULL \
             AND regexp_matches({text}, '^[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?$')"
        ),
    }
}

/// A column whose type is wanted.
pub(super) struct Unknown {
    /// Its value as text, as SQL.
    pub text: String,
    /// The types to try, in order.
    pub candidates: Vec<&'static str>,
}

/// The type of each column over the rows of `from`; `None` where there is no value. `limit` rows at most are looked at.
pub(super) fn infer(
    conn: &Connection,
    from: &str,
    mut columns: Vec<Unknown>,
    limit: Option<u64>,
) -> duckdb::Result<Vec<Option<&'static str>>> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = narrow(conn, from, &mut columns, Some(FIRST_LOOK), usize::MAX)?;
    // Each round tries one candidate a column on all rows and drops what does not hold.
    loop {
        let before: usize = columns.iter().map(|column| column.candidates.len()).sum();
        let seen = narrow(conn, from, &mut columns, limit, 1)?;
        for (found, seen) in found.iter_mut().zip(seen) {
            *found |= seen;
        }
        if columns.iter().map(|column| column.candidates.len()).sum::<usize>() == before {
            break;
        }
    }
    let chosen = columns
        .iter()
        .zip(found)
        .map(|(column, found)| found.then(|| column.candidates.first().copied().unwrap_or("VARCHAR")));
    Ok(chosen.collect())
}

/// Drops the candidates (of each column the first `width`) that some value does not fit; says which columns have values.
fn narrow(
    conn: &Connection,
    from: &str,
    columns: &mut [Unknown],
    limit: Option<u64>,
    width: usize,
) -> duckdb::Result<Vec<bool>> {
    let mut wanted = Vec::new();
    let mut values = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        values.push(format!("{} AS c{index}", column.text));
        wanted.push(format!("count(c{index})"));
        for candidate in column.candidates.iter().take(width) {
            let test = reads_as(&format!("c{index}"), candidate);
            wanted.push(format!("count_if(c{index} IS NOT NULL AND NOT ({test}))"));
        }
    }
    let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    let sql = format!("SELECT {} FROM (SELECT {} FROM {from}{limit})", wanted.join(", "), values.join(", "));
    let counts: Vec<i64> = conn.query_row(&sql, [], |row| {
        (0..wanted.len())
            .map(|index| row.get::<_, duckdb::types::Value>(index).map(|value| whole(&value)))
            .collect()
    })?;
    let mut counts = counts.into_iter();
    let mut has_values = Vec::new();
    for column in columns {
        has_values.push(counts.next().unwrap_or(0) > 0);
        let tried = column.candidates.len().min(width);
        let misfits: Vec<i64> = counts.by_ref().take(tried).collect();
        let mut index = 0;
        column.candidates.retain(|_| {
            let keep = misfits.get(index).is_none_or(|misfits| *misfits == 0);
            index += 1;
            keep
        });
    }
    Ok(has_values)
}

/// A count, which DuckDB gives as BIGINT or as HUGEINT.
fn whole(value: &duckdb::types::Value) -> i64 {
    match value {
        duckdb::types::Value::BigInt(count) => *count,
        duckdb::types::Value::HugeInt(count) => i64::try_from(*count).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// The type that holds what two types hold.
pub(super) fn union(a: &str, b: &str) -> String {
    let pair = |x: &str, y: &str| (a == x && b == y) || (a == y && b == x);
    match () {
        () if a == b => a.to_owned(),
        () if pair("BIGINT", "DOUBLE") => "DOUBLE".to_owned(),
        () if pair("BIGINT", "HUGEINT") => "HUGEINT".to_owned(),
        () if pair("DATE", "TIMESTAMP") => "TIMESTAMP".to_owned(),
        () => "VARCHAR".to_owned(),
    }
}
