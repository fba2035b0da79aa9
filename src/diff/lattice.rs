//! The lattice of types: which type holds all that another one holds.
//!
//! It is Kiln's own table and not DuckDB's implicit casts, which lose digits (`BIGINT` to `DOUBLE`), time zones and
//! nanoseconds. A type is read in DuckDB's own spelling, where aliases, case and the length of a VARCHAR are gone already.

pub use crate::sql::data_type::Type;

/// What a change of type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Nothing.
    Same,
    /// The new one holds all that the old one held.
    Widened,
    /// The old one held all that the new one holds, and more.
    Narrowed,
    /// Neither.
    Changed,
}

/// One difference between two types, at a path into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What to append to the column's name: `.city`, `[].price`, `[value]`; nothing for the column itself.
    pub path: String,
    /// What differs.
    pub kind: DifferenceKind,
}

/// What differs at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// A field of a struct is gone.
    FieldRemoved(Type),
    /// A field of a struct is new.
    FieldAdded(Type),
    /// Fields stand in another order: their names before and after.
    FieldsReordered(Vec<String>, Vec<String>),
    /// Members of an ENUM are gone.
    MembersRemoved(Vec<String>),
    /// Members of an ENUM are new.
    MembersAdded(Vec<String>),
    /// The type itself.
    Retyped(Step, Type, Type),
}

/// Digits of the largest value of an integer type, its bits, and whether it has a sign.
fn integer(name: &str) -> Option<(u32, u32, Sign)> {
    Some(match name {
        "TINYINT" => (3, 8, Sign::Signed),
        "SMALLINT" => (5, 16, Sign::Signed),
        "INTEGER" => (10, 32, Sign::Signed),
        "BIGINT" => (19, 64, Sign::Signed),
        "HUGEINT" => (39, 128, Sign::Signed),
        "BIGNUM" => (u32::MAX, u32::MAX, Sign::Signed),
        "UTINYINT" => (3, 8, Sign::Unsigned),
        "USMALLINT" => (5, 16, Sign::Unsigned),
        "UINTEGER" => (10, 32, Sign::Unsigned),
        "UBIGINT" => (20, 64, Sign::Unsigned),
        "UHUGEINT" => (39, 128, Sign::Unsigned),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
}

/// Whether a type holds every value of another one exactly, and is not the same.
fn holds(wide: &Type, narrow: &Type) -> bool {
    match (narrow, wide) {
        (Type::Plain(narrow), Type::Plain(wide)) => plain_holds(wide, narrow),
        (Type::Plain(narrow), Type::Decimal(width, scale)) => {
            integer(narrow).is_some_and(|(digits, ..)| width - scale >= digits)
        }
        (Type::Decimal(width, scale), Type::Decimal(wider, finer)) => {
            wider - finer >= width - scale && finer >= scale && (width, scale) != (wider, finer)
        }
        (Type::Enum(_), Type::Plain(wide)) => wide == "VARCHAR",
        (Type::Enum(narrow), Type::Enum(wide)) => {
            narrow != wide && narrow.iter().all(|member| wide.contains(member))
        }
        (Type::Array(narrow, _), Type::List(wide)) => narrow == wide || holds(wide, narrow),
        (Type::List(narrow), Type::List(wide)) => holds(wide, narrow),
        (Type::Array(narrow, one), Type::Array(wide, other)) => one == other && holds(wide, narrow),
        (Type::Map(key, narrow), Type::Map(same, wide)) => key == same && holds(wide, narrow),
        (Type::Union(narrow), Type::Union(wide)) => {
            narrow != wide && narrow.iter().all(|member| wide.contains(member))
        }
        _ => false,
    }
}

fn plain_holds(wide: &str, narrow: &str) -> bool {
    match (integer(narrow), integer(wide)) {
        (Some((_, small, one)), Some((_, large, other))) => match (one, other) {
            (Sign::Unsigned, Sign::Signed)
            | (Sign::Signed, Sign::Signed)
            | (Sign::Unsigned, Sign::Unsigned) => large > small,
            (Sign::Signed, Sign::Unsigned) => false,
        },
        (Some((_, bits, _)), None) => match wide {
            "FLOAT" => bits <= 16,
            "DOUBLE" => bits <= 32,
            _ => false,
        },
        _ => matches!(
            (narrow, wide),
            ("FLOAT", "DOUBLE")
                | ("TIMESTAMP_S", "TIMESTAMP_MS" | "TIMESTAMP")
                | ("TIMESTAMP_MS", "TIMESTAMP")
        ),
    }
}

/// What a change from one type to another means, as a whole.
pub fn step(old: &Type, new: &Type) -> Step {
    match (old == new, holds(new, old), holds(old, new)) {
        (true, ..) => Step::Same,
        (_, true, _) => Step::Widened,
        (_, _, true) => Step::Narrowed,
        _ => Step::Changed,
    }
}

/// Where two types differ, from the outside to the inside.
pub fn differences(old: &Type, new: &Type) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), old, new, &mut found);
    found
}

fn compare(path: String, old: &Type, new: &Type, found: &mut Vec<Difference>) {
    match (old, new) {
        _ if old == new => {}
        (Type::Struct(before), Type::Struct(after)) => fields(&path, before, after, found),
        (Type::List(before), Type::List(after)) => compare(format!("{path}[]"), before, after, found),
        (Type::Array(before, one), Type::Array(after, other)) if one == other => {
            compare(format!("{path}[]"), before, after, found);
        }
        // Whoever looks a key up depends on its type in every way.
        (Type::Map(before, one), Type::Map(after, other)) => {
            if before != after {
                let kind =
                    DifferenceKind::Retyped(Step::Changed, before.as_ref().clone(), after.as_ref().clone());
                found.push(Difference { path: format!("{path}[key]"), kind });
            }
            compare(format!("{path}[value]"), one, other, found);
        }
        (Type::Enum(before), Type::Enum(after)) => {
            let missing = |from: &[String], of: &[String]| -> Vec<String> {
                of.iter().filter(|member| !from.contains(member)).cloned().collect()
            };
            let (removed, added) = (missing(after, before), missing(before, after));
            if removed.is_empty() && added.is_empty() {
                // Their order is the order that they sort in.
                let kind = DifferenceKind::Retyped(Step::Changed, old.clone(), new.clone());
                found.push(Difference { path, kind });
                return;
            }
            if !removed.is_empty() {
                found.push(Difference { path: path.clone(), kind: DifferenceKind::MembersRemoved(removed) });
            }
            if !added.is_empty() {
                found.push(Difference { path, kind: DifferenceKind::MembersAdded(added) });
            }
        }
        _ => {
            let kind = DifferenceKind::Retyped(step(old, new), old.clone(), new.clone());
            found.push(Difference { path, kind });
        }
    }
}

fn fields(path: &str, before: &[(String, Type)], after: &[(String, Type)], found: &mut Vec<Difference>) {
    let find = |fields: &[(String, Type)], name: &str| {
        fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, of)| of.clone())
    };
    let mut stays = (Vec::new(), Vec::new());
    for (name, of) in before {
        let path = format!("{path}.{name}");
        match find(after, name) {
            Some(now) => {
                stays.0.push(name.to_lowercase());
                compare(path, of, &now, found);
            }
            None => found.push(Difference { path, kind: DifferenceKind::FieldRemoved(of.clone()) }),
        }
    }
    for (name, of) in after {
        match find(before, name) {
            Some(_) => stays.1.push(name.to_lowercase()),
            None => found.push(Difference {
                path: format!("{path}.{name}"),
                kind: DifferenceKind::FieldAdded(of.clone()),
            }),
        }
    }
    if stays.0 != stays.1 {
        let kind = DifferenceKind::FieldsReordered(stays.0, stays.1);
        found.push(Difference { path: path.to_owned(), kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(old: &str, new: &str) -> Step {
        step(&Type::parse(old), &Type::parse(new))
    }

    /// Every row of the table, one way; the other way must then be a narrowing.
    const LOSSLESS: &[(&str, &str)] = &[
        ("TINYINT", "SMALLINT"),
        ("SMALLINT", "INTEGER"),
        ("INTEGER", "BIGINT"),
        ("BIGINT", "HUGEINT"),
        ("HUGEINT", "BIGNUM"),
        ("TINYINT", "BIGNUM"),
        ("UTINYINT", "USMALLINT"),
        ("USMALLINT", "UINTEGER"),
        ("UINTEGER", "UBIGINT"),
        ("UBIGINT", "UHUGEINT"),
        ("UTINYINT", "SMALLINT"),
        ("USMALLINT", "INTEGER"),
        ("UINTEGER", "BIGINT"),
        ("UBIGINT", "HUGEINT"),
        ("UHUGEINT", "BIGNUM"),
        ("FLOAT", "DOUBLE"),
        ("TINYINT", "FLOAT"),
        ("SMALLINT", "FLOAT"),
        ("USMALLINT", "FLOAT"),
        ("INTEGER", "DOUBLE"),
        ("UINTEGER", "DOUBLE"),
        ("TINYINT", "DECIMAL(3,0)"),
        ("SMALLINT", "DECIMAL(7,2)"),
        ("INTEGER", "DECIMAL(10,0)"),
        ("BIGINT", "DECIMAL(21,2)"),
        ("UBIGINT", "DECIMAL(20,0)"),
        ("DECIMAL(9,0)", "DECIMAL(10,0)"),
        ("DECIMAL(10,2)", "DECIMAL(12,4)"),
        ("DECIMAL(10,2)", "DECIMAL(12,2)"),
        ("TIMESTAMP_S", "TIMESTAMP_MS"),
        ("TIMESTAMP_MS", "TIMESTAMP"),
        ("TIMESTAMP_S", "TIMESTAMP"),
        ("ENUM('a', 'b')", "VARCHAR"),
        ("ENUM('a')", "ENUM('a', 'b')"),
        ("INTEGER[3]", "INTEGER[]"),
        ("INTEGER[3]", "BIGINT[]"),
        ("INTEGER[]", "BIGINT[]"),
        ("MAP(VARCHAR, INTEGER)", "MAP(VARCHAR, BIGINT)"),
    ];

    /// What loses something, or means something else, in both directions.
    const INCOMPATIBLE: &[(&str, &str)] = &[
        ("BIGINT", "DOUBLE"),
        ("INTEGER", "FLOAT"),
        ("INTEGER", "DECIMAL(4,1)"),
        ("BIGINT", "DECIMAL(18,0)"),
        ("HUGEINT", "DECIMAL(38,0)"),
        ("DECIMAL(10,2)", "DECIMAL(10,4)"),
        ("DECIMAL(9,2)", "FLOAT"),
        ("DECIMAL(9,2)", "DOUBLE"),
        ("TIMESTAMP_NS", "TIMESTAMP"),
        ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
        ("DATE", "TIMESTAMP"),
        ("VARCHAR", "JSON"),
        ("BIGNUM", "DOUBLE"),
        ("BOOLEAN", "INTEGER"),
        ("UUID", "VARCHAR"),
        ("INTEGER", "VARCHAR"),
        ("DATE", "VARCHAR"),
        ("INTEGER", "UINTEGER"),
        ("BIGINT", "UHUGEINT"),
        ("ENUM('a', 'b')", "ENUM('b', 'c')"),
        ("INTEGER[3]", "INTEGER[4]"),
        ("INTEGER[]", "INTEGER"),
        ("MAP(INTEGER, INTEGER)", "MAP(BIGINT, INTEGER)"),
    ];

    #[test]
    fn what_loses_nothing_is_a_widening_and_back_a_narrowing() {
        for (narrow, wide) in LOSSLESS {
            assert_eq!(change(narrow, wide), Step::Widened, "{narrow} to {wide}");
            assert_eq!(change(wide, narrow), Step::Narrowed, "{wide} to {narrow}");
            assert_eq!(change(narrow, narrow), Step::Same);
        }
    }

    #[test]
    fn what_loses_something_is_a_change_in_both_directions() {
        for (one, other) in INCOMPATIBLE {
            assert_eq!(change(one, other), Step::Changed, "{one} to {other}");
            assert_eq!(change(other, one), Step::Changed, "{other} to {one}");
        }
    }

    #[test]
    fn a_decimal_that_loses_digits_is_a_narrowing() {
        assert_eq!(change("DECIMAL(38,10)", "DECIMAL(4,1)"), Step::Narrowed);
    }

    #[test]
    fn duckdbs_spelling_is_read_and_written() {
        let connection = duckdb::Connection::open_in_memory().expect("an in-memory database");
        for written in [
            "int",
            "decimal(9, 2)",
            "struct(a int, \"b c\" text[], d struct(e date))",
            "map(text, struct(x int)[])",
            "enum('a', 'it''s', 'c, d')",
            "int[3][]",
            "union(n int, s text)",
            "timestamp with time zone",
            "struct(\"say \"\"hi\"\"\" int)",
        ] {
            let spelled: String = connection
                .query_row(&format!("select typeof(null::{written})"), [], |row| row.get(0))
                .expect("a type");
            assert!(!matches!(Type::parse(&spelled), Type::Plain(name) if name.contains('(')), "{spelled}");
        }
        let nested = Type::parse("STRUCT(a INTEGER, \"b c\" VARCHAR[])[]");
        assert_eq!(nested.to_string(), "STRUCT(a INTEGER, b c VARCHAR[])[]");
    }

    #[test]
    fn nested_types_are_compared_part_by_part() {
        let found = differences(
            &Type::parse(
                "STRUCT(a INTEGER, b VARCHAR, c ENUM('x', 'y'), d STRUCT(e DATE)[], m MAP(VARCHAR, INTEGER))",
            ),
            &Type::parse(
                "STRUCT(b VARCHAR, a BIGINT, c ENUM('y', 'z'), d STRUCT(f DATE)[], m MAP(INTEGER, SMALLINT))",
            ),
        );
        let lines: Vec<String> =
            found.iter().map(|found| format!("{} {:?}", found.path, found.kind)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        .a Retyped(Widened, Plain("INTEGER"), Plain("BIGINT"))
        .c MembersRemoved(["x"])
        .c MembersAdded(["z"])
        .d[].e FieldRemoved(Plain("DATE"))
        .d[].f FieldAdded(Plain("DATE"))
        .m[key] Retyped(Changed, Plain("VARCHAR"), Plain("INTEGER"))
        .m[value] Retyped(Narrowed, Plain("INTEGER"), Plain("SMALLINT"))
         FieldsReordered(["a", "b", "c", "d", "m"], ["b", "a", "c", "d", "m"])
        "#);
    }
}
