//! The names that must not be mixed: nodes, relations, fingerprints.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sql::quote::identifier;

/// What kind of thing a node is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A templated SELECT.
    Model,
    /// A CSV file of the project.
    Seed,
    /// A templated SELECT whose results are kept as history.
    Snapshot,
}

/// dbt's unique id of anything in a project: `model.shop.orders`, `source.shop.api.orders`, `seed.…`, `test.…`,
/// `exposure.…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// Joins a resource type, a package and a name.
    pub fn new(resource_type: &str, package: &str, name: &str) -> Self {
        Self(format!("{resource_type}.{package}.{name}").into())
    }

    /// Reads one back from where it was stored.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part: `model`, `seed`, `source`, `test`, `exposure`.
    pub fn resource_type(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// What people call it: a model's name, `source.table` for a source.
    pub fn short(&self) -> &str {
        self.0.splitn(3, '.').nth(2).unwrap_or(&self.0)
    }
}

impl From<String> for NodeId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table or view by schema and name, inside the one database file. Displays quoted: `"curated"."orders"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Relation {
    /// The DuckDB schema.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl Relation {
    /// A relation by schema and name, neither of them quoted.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// `schema.name` as people write it, for messages only.
    pub fn plain(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", identifier(&self.schema), identifier(&self.name))
    }
}

/// What a build is made from, as 32 hexadecimal digits of a BLAKE3 hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads one back from the state tables.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Hashes parts; each is length-prefixed, so that no two lists of parts run into each other.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, which name a physical table.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
