//! A data test: a query whose rows are failures, and what is made of them.

use std::sync::Arc;

use super::{Dependency, Object, TestSeverity};
use crate::contract::Rule;
use crate::diagnostic::{Location, SourceFile};
use crate::names::NodeId;

/// A data test: a query whose rows are failures.
#[derive(Debug, Clone)]
pub struct Test {
    /// `test.<package>.<name>`.
    pub id: NodeId,
    /// Unique in the project, as dbt makes it: `unique_orders_order_id`.
    pub name: String,
    /// What is tested: the model that a failure belongs to. `None` for a singular test that reads several.
    pub node: Option<NodeId>,
    /// The column, for a test of one.
    pub column: Option<String>,
    /// What it is made from.
    pub kind: TestKind,
    /// Its configuration.
    pub config: TestConfig,
    /// Everything that it reads, the tested node included.
    pub depends_on: Vec<Dependency>,
    /// Where it was declared.
    pub at: Location,
}

/// What a test is made from.
#[derive(Debug, Clone)]
pub enum TestKind {
    /// A generic test: the project's own, or one of Kiln's under its dbt name.
    Generic {
        /// `unique`, `dbt_utils.accepted_range`.
        name: String,
        /// Its arguments without `model` and `column_name`; text may hold Jinja.
        args: Object,
    },
    /// A file in `tests/`.
    Singular {
        /// The template.
        file: Arc<SourceFile>,
    },
    /// A promise of a contract that no generic test covers.
    Contract(Rule),
}

/// The configuration of a test, with dbt's meanings.
#[derive(Debug, Clone, PartialEq)]
pub struct TestConfig {
    /// What a failure means.
    pub severity: TestSeverity,
    /// Comparison that warns, such as `> 10`.
    pub warn_if: String,
    /// Comparison that fails.
    pub error_if: String,
    /// Filters the tested model.
    pub where_clause: Option<String>,
    /// Caps the failing rows before they are counted.
    pub limit: Option<u64>,
    /// The aggregate over the failing rows that is compared.
    pub fail_calc: String,
    /// Keeps the failing rows in a table.
    pub store_failures: bool,
    /// Which rows of an incremental model are tested while it runs.
    pub audit: AuditScope,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta`.
    pub meta: Object,
}

impl Default for TestConfig {
    /// dbt's defaults.
    fn default() -> Self {
        Self {
            severity: TestSeverity::Error,
            warn_if: "!= 0".into(),
            error_if: "!= 0".into(),
            where_clause: None,
            limit: None,
            fail_calc: "count(*)".into(),
            store_failures: false,
            audit: AuditScope::Whole,
            tags: Vec::new(),
            meta: Object::new(),
        }
    }
}

/// `audit:` of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditScope {
    /// The table as it will be.
    Whole,
    /// The new rows alone. Sound for tests that judge each row by itself.
    Delta,
}
