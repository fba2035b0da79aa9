//! The diff of data: which rows of a table came, went or changed, by key, or by whole rows where there is none. Pure: the
//! statements are made here and run elsewhere, and what they give is told here.
//!
//! Each side is scanned once. Rows are grouped by key with a hash of their other columns, so a key that is not unique makes
//! a group and no product. Only the keys that differ are kept, in a temporary table, and looked at again for what changed
//! in them.

use crate::engine::session::ColumnType;
use crate::sql::quote::identifier;

/// The temporary table of the keys that differ.
const DIFFERS: &str = "temp.kiln_differs";

/// Most columns of a sampled row.
const MOST_COLUMNS: usize = 8;

/// One side: something that can stand in a FROM clause, and its columns.
#[derive(Debug, Clone)]
pub struct Table {
    /// A relation's name, or a query in parentheses.
    pub sql: String,
    /// Its columns.
    pub columns: Vec<ColumnType>,
}

/// Two sides that are compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    before: Table,
    after: Table,
    key: Vec<String>,
    /// Columns of both sides that are not in the key, with the type in which they are compared.
    common: Vec<Compared>,
    keyed: Vec<Compared>,
    /// Columns that came.
    pub columns_added: Vec<String>,
    /// Columns that went.
    pub columns_removed: Vec<String>,
    /// Columns of another type: name, type before, type after.
    pub columns_retyped: Vec<(String, String, String)>,
}

#[derive(Debug, Clone)]
struct Compared {
    name: String,
    /// Another type than one side has, where the sides differ.
    cast: Option<String>,
}

impl Compared {
    fn sql(&self, side: &str) -> String {
        let column = format!("{side}.{}", identifier(&self.name));
        match &self.cast {
            Some(data_type) => format!("CAST({column} AS {data_type})"),
            None => column,
        }
    }

    fn text(&self, side: &str) -> String {
        format!("CAST({side}.{} AS VARCHAR)", identifier(&self.name))
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataDiff {
    /// The key; empty where whole rows were compared.
    pub key: Vec<String>,
    /// Rows before.
    pub before: u64,
    /// Rows after.
    pub after: u64,
    /// Rows, or keys, that came.
    pub added: u64,
    /// Rows, or keys, that went.
    pub removed: u64,
    /// Keys whose rows have other values.
    pub changed: u64,
    /// How many rows changed in each column that changed.
    pub columns: Vec<(String, u64)>,
    /// Columns that came.
    pub columns_added: Vec<String>,
    /// Columns that went.
    pub columns_removed: Vec<String>,
    /// Columns of another type: name, type before, type after.
    pub columns_retyped: Vec<(String, String, String)>,
    /// The key that was to be used and is not unique.
    pub not_unique: Option<NotUnique>,
    /// Some of the rows.
    pub samples: Samples,
}

/// A key that is not unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotUnique {
    /// The key.
    pub key: Vec<String>,
    /// Values that occur more than once before.
    pub before: u64,
    /// Values that occur more than once after.
    pub after: u64,
    /// Some of them, with how often they occur before and after.
    pub values: Vec<(Vec<Cell>, u64, u64)>,
}

/// A cell as text; `None` is NULL.
pub type Cell = Option<String>;

/// Some of the rows that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// Names of the cells of `added`.
    pub columns: Vec<String>,
    /// Names of the cells of `removed`.
    pub columns_before: Vec<String>,
    /// Rows that came.
    pub added: Vec<Vec<Cell>>,
    /// Rows that went.
    pub removed: Vec<Vec<Cell>>,
    /// Rows that changed.
    pub changed: Vec<ChangedRow>,
}

/// A row that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRow {
    /// Its key.
    pub key: Vec<Cell>,
    /// Column, value before, value after, of those that differ.
    pub cells: Vec<(String, Cell, Cell)>,
}

impl DataDiff {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.added + self.removed + self.changed == 0
            && self.columns_added.is_empty()
            && self.columns_removed.is_empty()
            && self.columns_retyped.is_empty()
    }
}

/// The type in which values of two types are compared: one that holds the numbers of both without a loss where there is
/// such a one, text for what is not a number.
fn in_common(one: &str, other: &str) -> String {
    let (Some(one), Some(other)) = (digits(one), digits(other)) else { return "VARCHAR".into() };
    let (Some(one), Some(other)) = (one, other) else { return "DOUBLE".into() };
    let (whole, decimals) = (one.0.max(other.0), one.1.max(other.1));
    match decimals {
        // 39 digits are those of HUGEINT and UHUGEINT, which no type holds both; their text is the same.
        0 if whole > 38 => "VARCHAR".into(),
        0 => "HUGEINT".into(),
        _ if whole + decimals > 38 => "DOUBLE".into(),
        _ => format!("DECIMAL({}, {decimals})", whole + decimals),
    }
}

/// How many digits a type of numbers holds before and behind the point: `None` inside for one of floats.
fn digits(data_type: &str) -> Option<Option<(u8, u8)>> {
    let (name, rest) = data_type.split_once('(').unwrap_or((data_type, ""));
    let whole = match name {
        "TINYINT" | "UTINYINT" => 3,
        "SMALLINT" | "USMALLINT" => 5,
        "INTEGER" | "UINTEGER" => 10,
        "BIGINT" => 19,
        "UBIGINT" => 20,
        "HUGEINT" | "UHUGEINT" => 39,
        "FLOAT" | "DOUBLE" => return Some(None),
        "DECIMAL" => {
            let mut parts = rest.trim_end_matches(')').split(',').map(|part| part.trim().parse::<u8>().ok());
            let (width, scale) = (parts.next().flatten()?, parts.next().flatten()?);
            return Some(Some((width.saturating_sub(scale), scale)));
        }
        _ => return None,
    };
    Some(Some((whole, 0)))
}

impl Comparison {
    /// Lays two sides over each other.
    ///
    /// # Errors
    /// The columns of the key that one of the sides does not have.
    pub fn new(before: Table, after: Table, key: &[String]) -> Result<Self, Vec<String>> {
        let find = |table: &Table, name: &str| {
            table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned()
        };
        let missing: Vec<String> = key
            .iter()
            .filter(|name| find(&before, name).is_none() || find(&after, name).is_none())
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let compared = |column: &ColumnType| {
            let other = find(&after, &column.name)?;
            let cast = match column.data_type == other.data_type {
                true => None,
                false => Some(in_common(&column.data_type, &other.data_type)),
            };
            Some(Compared { name: column.name.clone(), cast })
        };
        let in_key = |name: &str| key.iter().any(|key| key.eq_ignore_ascii_case(name));
        let all: Vec<Compared> = before.columns.iter().filter_map(compared).collect();
        let keyed = key
            .iter()
            .filter_map(|name| all.iter().find(|column| column.name.eq_ignore_ascii_case(name)))
            .cloned()
            .collect();
        let common = all.into_iter().filter(|column| !in_key(&column.name)).collect();
        let only = |one: &Table, other: &Table| {
            let names = one.columns.iter().filter(|column| find(other, &column.name).is_none());
            names.map(|column| column.name.clone()).collect()
        };
        let (columns_added, columns_removed) = (only(&after, &before), only(&before, &after));
        let retyped = before.columns.iter().filter_map(|column| {
            let other = find(&after, &column.name).filter(|other| other.data_type != column.data_type)?;
            Some((column.name.clone(), column.data_type.clone(), other.data_type))
        });
        let columns_retyped = retyped.collect();
        let key = key.to_vec();
        Ok(Self { before, after, key, common, keyed, columns_added, columns_removed, columns_retyped })
    }

    /// The columns that are compared, without those of the key.
    pub fn columns(&self) -> Vec<&str> {
        self.common.iter().map(|column| column.name.as_str()).collect()
    }

    /// Collects the keys that differ into the temporary table. The one scan of both sides.
    pub fn collect(&self) -> String {
        let names: Vec<String> = (0..self.keyed.len()).map(|at| format!("k{at}")).collect();
        let side = |number: u8, table: &Table| {
            let keys = self
                .keyed
                .iter()
                .zip(&names)
                .map(|(column, name)| format!("{} AS {name}, ", column.sql("t")));
            let values: Vec<String> = self.common.iter().map(|column| column.sql("t")).collect();
            let hash =
                if values.is_empty() { "0".to_owned() } else { format!("hash({})", values.join(", ")) };
            let keys: String = keys.collect();
            format!("SELECT {keys}{hash} AS h, {number} AS side FROM {} AS t", table.sql)
        };
        let keys: String = names.iter().map(|name| format!("{name}, ")).collect();
        let by = match names.is_empty() {
            true => "h".to_owned(),
            false => names.join(", "),
        };
        // Without a key the hash is the key: a row that is there as often as before is the same.
        let (hash, same) = match names.is_empty() {
            true => ("h", "b = a"),
            false => ("min(h) AS low, max(h) AS high", "b = 1 AND a = 1 AND low = high"),
        };
        format!(
            "CREATE OR REPLACE TEMP TABLE {} AS SELECT * FROM (SELECT {keys}{hash}, \
             count(*) FILTER (WHERE side = 0) AS b, count(*) FILTER (WHERE side = 1) AS a \
             FROM ({} UNION ALL {}) GROUP BY {by}) WHERE NOT ({same})",
            DIFFERS.trim_start_matches("temp."),
            side(0, &self.before),
            side(1, &self.after),
        )
    }

    /// Numbers as text: rows before and after; keys that came, went, changed; keys that are not unique before and after.
    pub fn count(&self) -> String {
        let changed = match self.keyed.is_empty() {
            true => "sum(greatest(a - b, 0)), sum(greatest(b - a, 0)), 0, 0, 0",
            false => {
                "count(*) FILTER (WHERE b = 0), count(*) FILTER (WHERE a = 0), \
                 count(*) FILTER (WHERE b = 1 AND a = 1), count(*) FILTER (WHERE b > 1), count(*) FILTER (WHERE a > 1)"
            }
        };
        format!(
            "SELECT (SELECT count(*) FROM {})::VARCHAR, (SELECT count(*) FROM {})::VARCHAR, \
             COLUMNS(*)::VARCHAR FROM (SELECT {changed} FROM {DIFFERS})",
            self.before.sql, self.after.sql
        )
    }

    /// Values of the key that are not unique, as text, with how often they occur.
    pub fn repeated(&self, limit: usize) -> String {
        let keys: String = (0..self.keyed.len()).map(|at| format!("CAST(k{at} AS VARCHAR), ")).collect();
        format!(
            "SELECT {keys}CAST(b AS VARCHAR), CAST(a AS VARCHAR) FROM {DIFFERS} WHERE b > 1 OR a > 1 \
             ORDER BY greatest(a, b) DESC, {} LIMIT {limit}",
            self.ordered("")
        )
    }

    /// How many rows changed in each of the compared columns, as text.
    pub fn by_column(&self) -> String {
        let counts: Vec<String> = self
            .common
            .iter()
            .map(|column| {
                let differs = format!("{} IS DISTINCT FROM {}", column.sql("b"), column.sql("a"));
                format!("CAST(count(*) FILTER (WHERE {differs}) AS VARCHAR)")
            })
            .collect();
        format!("SELECT {} {}", counts.join(", "), self.both())
    }

    /// Rows that changed: the key, then each of these columns before and after, as text.
    pub fn changed_rows(&self, columns: &[String], limit: usize) -> String {
        let keys = self.keyed.iter().map(|column| column.text("a"));
        let wanted = self.common.iter().filter(|column| columns.contains(&column.name));
        let values = wanted.flat_map(|column| [column.text("b"), column.text("a")]);
        let cells: Vec<String> = keys.chain(values).collect();
        format!("SELECT {} {} ORDER BY {} LIMIT {limit}", cells.join(", "), self.both(), self.ordered("d."))
    }

    /// The columns that [`Self::rows_of`] shows: the key first.
    pub fn sampled(&self, side: Which) -> Vec<String> {
        let table = self.table(side);
        let in_key = |name: &str| self.key.iter().any(|key| key.eq_ignore_ascii_case(name));
        let names = table.columns.iter().map(|column| column.name.clone());
        let (key, others): (Vec<String>, Vec<String>) = names.partition(|name| in_key(name));
        key.into_iter().chain(others).take(MOST_COLUMNS).collect()
    }

    /// Rows that one side alone has, as text.
    pub fn rows_of(&self, side: Which, limit: usize) -> String {
        let cells: Vec<String> = self
            .sampled(side)
            .iter()
            .map(|name| format!("CAST(t.{} AS VARCHAR)", identifier(name)))
            .collect();
        let table = &self.table(side).sql;
        let more = match side {
            Which::Before => "d.b > d.a",
            Which::After => "d.a > d.b",
        };
        let (join, order) = match self.keyed.is_empty() {
            true => {
                let values: Vec<String> = self.common.iter().map(|column| column.sql("t")).collect();
                (format!("hash({}) = d.h", values.join(", ")), cells.join(", "))
            }
            false => (self.on("t"), self.ordered("d.")),
        };
        format!(
            "SELECT {} FROM {DIFFERS} AS d JOIN {table} AS t ON {join} WHERE {more} ORDER BY {order} LIMIT {limit}",
            cells.join(", ")
        )
    }

    /// Gives the temporary table back.
    pub fn forget() -> String {
        format!("DROP TABLE IF EXISTS {DIFFERS}")
    }

    fn table(&self, side: Which) -> &Table {
        match side {
            Which::Before => &self.before,
            Which::After => &self.after,
        }
    }

    fn both(&self) -> String {
        format!(
            "FROM {DIFFERS} AS d JOIN {} AS b ON {} JOIN {} AS a ON {} WHERE d.b = 1 AND d.a = 1",
            self.before.sql,
            self.on("b"),
            self.after.sql,
            self.on("a")
        )
    }

    fn on(&self, side: &str) -> String {
        let parts = self.keyed.iter().enumerate();
        let parts: Vec<String> =
            parts.map(|(at, column)| format!("d.k{at} IS NOT DISTINCT FROM {}", column.sql(side))).collect();
        parts.join(" AND ")
    }

    fn ordered(&self, side: &str) -> String {
        (0..self.keyed.len()).map(|at| format!("{side}k{at}")).collect::<Vec<_>>().join(", ")
    }
}

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The base.
    Before,
    /// The candidate.
    After,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(sql: &str, columns: &[(&str, &str)]) -> Table {
        let column = |(name, data_type): &(&str, &str)| ColumnType {
            name: (*name).into(),
            data_type: (*data_type).into(),
        };
        Table { sql: sql.into(), columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn a_key_that_a_side_does_not_have_is_told() {
        let (before, after) =
            (table("b", &[("id", "INTEGER")]), table("a", &[("ID", "INTEGER"), ("x", "DATE")]));
        assert_eq!(
            Comparison::new(before.clone(), after.clone(), &["x".into(), "id".into()]).err(),
            Some(vec!["x".to_owned()])
        );
        let laid = Comparison::new(before, after, &["Id".into()]).expect("a comparison");
        assert_eq!((laid.columns_added.clone(), laid.columns()), (vec!["x".to_owned()], Vec::new()));
    }

    #[test]
    fn numbers_of_two_types_lose_nothing() {
        let all = [
            ("BIGINT", "HUGEINT"),
            ("BIGINT", "INTEGER"),
            ("UHUGEINT", "BIGINT"),
            ("BIGINT", "DECIMAL(12,2)"),
        ];
        assert_eq!(
            all.map(|(one, other)| in_common(one, other)),
            ["VARCHAR", "HUGEINT", "VARCHAR", "DECIMAL(21, 2)"]
        );
        assert_eq!(in_common("DECIMAL(38,2)", "DECIMAL(38,4)"), "DOUBLE");
        assert_eq!(in_common("DOUBLE", "BIGINT"), "DOUBLE");
        assert_eq!(in_common("DATE", "TIMESTAMP"), "VARCHAR");
    }

    #[test]
    fn columns_of_two_types_are_compared_as_one() {
        let before = table("b", &[("n", "INTEGER"), ("t", "INTEGER"), ("s", "DATE")]);
        let after = table("a", &[("n", "DECIMAL(9,2)"), ("t", "VARCHAR"), ("s", "DATE")]);
        let laid = Comparison::new(before, after, &[]).expect("a comparison");
        insta::assert_snapshot!(laid.collect(), @r#"CREATE OR REPLACE TEMP TABLE kiln_differs AS SELECT * FROM (SELECT h, count(*) FILTER (WHERE side = 0) AS b, count(*) FILTER (WHERE side = 1) AS a FROM (SELECT hash(CAST(t."n" AS DECIMAL(12, 2)), CAST(t."t" AS VARCHAR), t."s") AS h, 0 AS side FROM b AS t UNION ALL SELECT hash(CAST(t."n" AS DECIMAL(12, 2)), CAST(t."t" AS VARCHAR), t."s") AS h, 1 AS side FROM a AS t) GROUP BY h) WHERE NOT (b = a)"#);
    }
}
