//! The promised columns against the real ones.

use super::{Contract, LogicalType, Property};
use crate::diagnostic::{Diagnostic, Located, Location};

/// A difference between a contract's columns and a relation's.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnFinding {
    /// A promised column is not there.
    MissingColumn {
        /// The column.
        column: String,
        /// Columns that are there and not promised, for a suggestion.
        unpromised: Vec<String>,
        /// Where it is promised.
        at: Location,
    },
    /// A column has another type than promised.
    WrongType {
        /// The column.
        column: String,
        /// The promised type, as DuckDB spells it.
        expected: String,
        /// The type that it has.
        actual: String,
        /// Where the type is promised.
        at: Location,
    },
    /// The promised type is none of DuckDB's.
    UnknownType {
        /// The column.
        column: String,
        /// The type as written.
        written: String,
        /// Where it is written.
        at: Location,
    },
    /// A column is not of the promised logical type.
    FamilyMismatch {
        /// The column.
        column: String,
        /// The promised family.
        expected: LogicalType,
        /// The type that it has.
        actual: String,
        /// Where it is promised.
        at: Location,
    },
    /// A column that an enforced declaration does not have.
    Undeclared {
        /// The column.
        column: String,
        /// The type that it has.
        actual: String,
        /// The declaration.
        at: Location,
    },
    /// A column that nobody promised: no fault, but worth a note.
    ExtraColumn {
        /// The column.
        column: String,
        /// The type that it has.
        actual: String,
        /// The contract's entry.
        at: Location,
    },
}

/// Compares the promised columns with real ones (name, type in DuckDB's spelling), in the contract's order and then the
/// relation's. `canonical` gives DuckDB's spelling of a declared type, `None` if DuckDB does not know it.
pub fn check_columns(
    contract: &Contract,
    actual: &[(String, String)],
    canonical: &dyn Fn(&str) -> Option<String>,
) -> Vec<ColumnFinding> {
    let mut findings = Vec::new();
    let find = |column: &str| actual.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
    let extra: Vec<&(String, String)> =
        actual.iter().filter(|(name, _)| contract.property(name).is_none()).collect();
    for property in &contract.properties {
        let column = property.column.value.clone();
        match find(&column) {
            Some((_, actual)) => findings.extend(type_finding(property, actual, canonical)),
            None => findings.push(ColumnFinding::MissingColumn {
                column,
                unpromised: extra.iter().map(|(name, _)| name.clone()).collect(),
                at: property.column.at.clone(),
            }),
        }
    }
    // A contract without properties promises no columns, so none is beyond its promise.
    if !contract.properties.is_empty() {
        findings.extend(extra.into_iter().map(|(column, actual)| ColumnFinding::ExtraColumn {
            column: column.clone(),
            actual: actual.clone(),
            at: contract.model.at.clone(),
        }));
    }
    findings
}

/// Compares the columns that `contract: {enforced: true}` declares with real ones. As in dbt there may be no others.
pub fn check_declared(
    contract: &Contract,
    actual: &[(String, String)],
    canonical: &dyn Fn(&str) -> Option<String>,
) -> Vec<ColumnFinding> {
    let strict = |finding| match finding {
        ColumnFinding::ExtraColumn { column, actual, at } => ColumnFinding::Undeclared { column, actual, at },
        other => other,
    };
    check_columns(contract, actual, canonical).into_iter().map(strict).collect()
}

fn type_finding(
    property: &Property,
    actual: &str,
    canonical: &dyn Fn(&str) -> Option<String>,
) -> Option<ColumnFinding> {
    let column = property.column.value.clone();
    if let Some(declared) = &property.physical_type {
        let at = declared.at.clone();
        return match canonical(&declared.value) {
            None => Some(ColumnFinding::UnknownType { column, written: declared.value.clone(), at }),
            Some(expected) if expected != actual => {
                Some(ColumnFinding::WrongType { column, expected, actual: actual.to_owned(), at })
            }
            Some(_) => None,
        };
    }
    let Located { value: expected, at } = property.logical_type.clone()?;
    (!expected.admits(actual)).then(|| ColumnFinding::FamilyMismatch {
        column,
        expected,
        actual: actual.to_owned(),
        at,
    })
}

impl ColumnFinding {
    /// The finding in words. An unpromised column is a note.
    pub fn diagnostic(&self, contract: &Contract) -> Diagnostic {
        let model = &contract.model.value;
        match self {
            Self::MissingColumn { column, unpromised, at } => Diagnostic::error(
                "contract-column-missing",
                format!("`{model}` has no column `{column}`, which its contract promises"),
            )
            .at(at, "promised here")
            .suggest(column, unpromised.iter().map(String::as_str))
            .help("select it in the model, or take it out of the contract and raise its major version"),
            Self::WrongType { column, expected, actual, at } => Diagnostic::error(
                "contract-type",
                format!("`{model}.{column}` is {actual}, and its contract promises {expected}"),
            )
            .at(at, "promised here")
            .help(format!("write `{}::{expected}` in the model, or change the contract", plain(column))),
            Self::UnknownType { column, written, at } => Diagnostic::error(
                "contract-type",
                format!("`{written}`, the type of `{model}.{column}`, is no type of DuckDB"),
            )
            .at(at, "")
            .help("write the type as in `create table`, such as `BIGINT` or `DECIMAL(38,2)`"),
            Self::FamilyMismatch { column, expected, actual, at } => Diagnostic::error(
                "contract-type",
                format!(
                    "`{model}.{column}` is {actual}, and its contract promises the logical type {}",
                    expected.as_str()
                ),
            )
            .at(at, "promised here"),
            Self::Undeclared { column, actual, at } => Diagnostic::error(
                "contract-column-undeclared",
                format!(
                    "`{model}.{column}` ({actual}) is not declared, and the contract of `{model}` is enforced"
                ),
            )
            .at(at, "")
            .help("declare it under `columns`, or take it out of the model"),
            Self::ExtraColumn { column, actual, at } => {
                let message = format!("`{model}.{column}` ({actual}) is published and not in the contract");
                let mut note = Diagnostic::warning("contract-column-extra", message).at(at, "");
                note.severity = crate::diagnostic::Severity::Note;
                note
            }
        }
    }
}

fn plain(column: &str) -> String {
    match super::naming::is_plain(column) {
        true => column.to_owned(),
        false => crate::sql::quote::identifier(column),
    }
}
