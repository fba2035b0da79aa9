//! What resolving needs of a template, and who gives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Object;
use crate::diagnostic::{Diagnostics, Location, SourceFile};
use crate::names::NodeId;

/// A `ref` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefCall {
    /// The package, where it is named.
    pub package: Option<String>,
    /// The model or seed.
    pub name: String,
    /// The call.
    pub at: Location,
}

/// A `source` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCall {
    /// The source.
    pub source: String,
    /// The table in it.
    pub table: String,
    /// The call.
    pub at: Location,
}

/// What one reading of a template found.
#[derive(Debug, Clone, Default)]
pub struct ParsedTemplate {
    /// Each `ref`, in order.
    pub refs: Vec<RefCall>,
    /// Each `source`, in order.
    pub sources: Vec<SourceCall>,
    /// What `config()` was given.
    pub config: Object,
    /// Where each of its keys stands.
    pub config_at: BTreeMap<String, Location>,
    /// It asks the database while it renders.
    pub asks_database: bool,
}

/// A parameter of a generic test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// It has no default.
    pub required: bool,
}

/// A generic test as somebody uses it.
#[derive(Debug, Clone)]
pub struct TestUse<'a> {
    /// The package of the user.
    pub package: &'a str,
    /// The test's name.
    pub name: &'a str,
    /// What is tested.
    pub tested: &'a NodeId,
    /// The tested column.
    pub column: Option<&'a str>,
    /// Other arguments.
    pub args: &'a Object,
    /// Where it is used.
    pub at: &'a Location,
}

/// Reads templates.
pub trait ReadTemplates {
    /// Reads a model or a singular test once.
    fn parse(
        &self,
        id: &NodeId,
        package: &str,
        name: &str,
        file: &Arc<SourceFile>,
    ) -> Result<ParsedTemplate, Diagnostics>;

    /// The parameters of a generic test as a package sees it; `None` if there is no such test. `model` is ignored,
    /// `column_name` is asked of the column, and one called `kwargs` lets any argument pass.
    fn test_params(&self, package: &str, name: &str) -> Option<Vec<Param>>;

    /// What a generic test's own `config()` says for these arguments; weaker than what its user says.
    fn test_config(&self, test: &TestUse<'_>) -> Object {
        let _ = test;
        Object::new()
    }

    /// The generic tests that a package sees, for suggestions.
    fn test_names(&self, package: &str) -> Vec<String>;
}
