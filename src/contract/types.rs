//! Types as contracts write them: the standard's logical types, and DuckDB's names with their aliases.

/// A type in the standard's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogicalType {
    /// Text.
    String,
    /// A day.
    Date,
    /// A moment.
    Timestamp,
    /// A time of day.
    Time,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// A struct.
    Object,
    /// A list.
    Array,
    /// True or false.
    Boolean,
    /// Keys and values.
    Map,
    /// Numbers of a fixed count.
    Vector,
}

impl LogicalType {
    /// Every name, as the standard writes it.
    pub const NAMES: [&'static str; 11] = [
        "string",
        "date",
        "timestamp",
        "time",
        "number",
        "integer",
        "object",
        "array",
        "boolean",
        "map",
        "vector",
    ];

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "string" => Self::String,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "number" => Self::Number,
            "integer" => Self::Integer,
            "object" => Self::Object,
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "map" => Self::Map,
            "vector" => Self::Vector,
            _ => return None,
        })
    }

    /// The standard's name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether a DuckDB type, in DuckDB's own spelling, is of this family. 3.0 had no `timestamp`, so a moment counts
    /// as a `date` too.
    pub fn admits(self, duckdb_type: &str) -> bool {
        let name = duckdb_type.to_ascii_uppercase();
        if name.ends_with(']') {
            return matches!(self, Self::Array | Self::Vector);
        }
        let base = name.split('(').next().unwrap_or_default().trim();
        match self {
            Self::String => matches!(base, "VARCHAR" | "ENUM" | "UUID" | "JSON"),
            Self::Date => base == "DATE" || base.starts_with("TIMESTAMP"),
            Self::Timestamp => base.starts_with("TIMESTAMP"),
            Self::Time => base == "TIME" || base.starts_with("TIME ") || base == "TIME_NS",
            Self::Integer => is_integer(base),
            Self::Number => is_integer(base) || matches!(base, "FLOAT" | "DOUBLE" | "DECIMAL"),
            Self::Object => matches!(base, "STRUCT" | "MAP" | "JSON" | "VARIANT"),
            Self::Array => base == "JSON",
            Self::Boolean => base == "BOOLEAN",
            Self::Map => matches!(base, "MAP" | "STRUCT" | "JSON"),
            Self::Vector => false,
        }
    }

    /// As [`LogicalType::admits`], for a type in any of DuckDB's spellings.
    pub fn admits_declared(self, declared: &str) -> bool {
        self.admits(&normal(declared))
    }

    /// The family that says most about a type in any of DuckDB's spellings, among those of version 3.1.
    pub fn of(declared: &str) -> Option<Self> {
        let name = normal(declared).to_ascii_uppercase();
        let exact = [
            Self::String,
            Self::Timestamp,
            Self::Date,
            Self::Time,
            Self::Integer,
            Self::Number,
            Self::Boolean,
            Self::Object,
            Self::Array,
        ];
        let odd = ["JSON", "MAP", "VARIANT"].iter().any(|odd| name.starts_with(odd)) && !name.ends_with(']');
        exact.into_iter().find(|family| !odd && family.admits(&name))
    }
}

fn is_integer(base: &str) -> bool {
    let base = base.strip_prefix('U').unwrap_or(base);
    matches!(base, "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "BIGNUM")
}

/// Whether two declared types are the same type to DuckDB, as far as can be said without asking it: case, spaces,
/// aliases and the length of a VARCHAR (which DuckDB does not store) make no difference.
pub fn same_type(one: &str, two: &str) -> bool {
    normal(one) == normal(two)
}

fn normal(text: &str) -> String {
    let mut text = text.to_ascii_lowercase();
    let mut suffix = String::new();
    while let Some(open) = text.trim_end().strip_suffix(']').and_then(|rest| rest.rfind('[')) {
        suffix.insert_str(0, text[open..].trim_end());
        text.truncate(open);
    }
    let (base, arguments) = match text.split_once('(') {
        Some((base, rest)) => (base, rest.split_whitespace().collect::<String>()),
        None => (text.as_str(), String::new()),
    };
    let words: Vec<&str> = base.split_whitespace().collect();
    // `timestamp(3) with time zone` keeps what follows the parenthesis.
    let base = words.join(" ");
    let (base, keeps) = match base.as_str() {
        "int" | "int4" | "signed" | "integral" => ("integer", false),
        "int8" | "long" | "oid" => ("bigint", false),
        "int2" | "short" => ("smallint", false),
        "int1" => ("tinyint", false),
        "int16" | "int128" => ("hugeint", false),
        "uint8" => ("utinyint", false),
        "uint16" => ("usmallint", false),
        "uint32" => ("uinteger", false),
        "uint64" => ("ubigint", false),
        "uint128" => ("uhugeint", false),
        "varchar" | "text" | "string" | "char" | "bpchar" | "nvarchar" | "character varying" => {
            ("varchar", false)
        }
        "float4" | "real" | "float" => ("float", false),
        "float8" | "double precision" | "double" => ("double", false),
        "numeric" | "dec" | "decimal" => ("decimal", true),
        "bool" | "logical" => ("boolean", false),
        "blob" | "bytea" | "binary" | "varbinary" => ("blob", false),
        "bit" | "bitstring" => ("bit", false),
        "guid" => ("uuid", false),
        "datetime" | "timestamp without time zone" | "timestamp_us" => ("timestamp", false),
        "timestamp with time zone" => ("timestamptz", false),
        other => (other, true),
    };
    match (base, arguments.as_str()) {
        ("decimal", "") => format!("decimal(18,3){suffix}"),
        ("decimal", arguments) if !arguments.contains(',') => {
            format!("decimal({},0){suffix}", arguments.trim_end_matches(')'))
        }
        (base, arguments) if keeps && !arguments.is_empty() => format!("{base}({arguments}{suffix}"),
        (base, _) => format!("{base}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duckdb::Connection;

    #[test]
    fn aliases_are_the_same_type_as_in_duckdb() {
        let connection = Connection::open_in_memory().expect("an in-memory database");
        let canonical = |name: &str| -> String {
            connection
                .query_row(&format!("select typeof(null::{name})"), [], |row| row.get(0))
                .unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let names = [
            "INT",
            "integer",
            "int4",
            "BIGINT",
            "long",
            "int8",
            "text",
            "VARCHAR(10)",
            "string",
            "numeric",
            "decimal(18, 3)",
            "DECIMAL(38,2)",
            "numeric( 38 , 2 )",
            "decimal(5)",
            "decimal(5,0)",
            "float",
            "real",
            "double",
            "float8",
            "double precision",
            "bool",
            "BOOLEAN",
            "timestamp",
            "datetime",
            "TIMESTAMP WITH TIME ZONE",
            "timestamptz",
            "date",
            "blob",
            "bytea",
            "int[]",
            "INTEGER[]",
            "varchar(3)[]",
            "text[]",
            "int[3]",
            "integer[3]",
            "uuid",
            "hugeint",
            "int128",
            "uint8",
            "utinyint",
            "struct(a int)",
            "timestamp_s",
            "timestamp_ns",
            "smallint",
            "int2",
            "short",
            "char(4)",
        ];
        for one in names {
            for two in names {
                assert_eq!(same_type(one, two), canonical(one) == canonical(two), "{one} and {two}");
            }
        }
    }

    #[test]
    fn families() {
        let table: Vec<String> = [
            "VARCHAR",
            "ENUM('a', 'b')",
            "UUID",
            "INTEGER",
            "UBIGINT",
            "DECIMAL(38,2)",
            "DOUBLE",
            "DATE",
            "TIMESTAMP",
            "TIMESTAMP WITH TIME ZONE",
            "TIMESTAMP_NS",
            "TIME",
            "BOOLEAN",
            "INTEGER[]",
            "INTEGER[3]",
            "STRUCT(a INTEGER)",
            "STRUCT(a INTEGER)[]",
            "MAP(VARCHAR, INTEGER)",
            "BLOB",
            "INTERVAL",
            "JSON",
        ]
        .iter()
        .map(|name| {
            let families = LogicalType::NAMES
                .into_iter()
                .filter(|family| LogicalType::parse(family).is_some_and(|family| family.admits(name)));
            format!("{name}: {}", families.collect::<Vec<_>>().join(" "))
        })
        .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
