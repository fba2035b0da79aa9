//! The memo of a base: what a commit showed, kept in the target folder, so that the next diff against it reads it back.
//!
//! A commit does not change, but what it compiles to follows from more: the command line, variables of the environment, and
//! what the checkout knows of files that both read. All of that is in the memo's key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::base::Compiling;
use super::view::View;
use super::waiver;
use crate::compile::cache::Cache;
use crate::compile::cache::watched::{EnvReads, same_env};
use crate::names::Fingerprint;
use crate::workspace::WorkspaceOptions;

/// The file's name in the target folder.
const FILE_NAME: &str = "diff.cache";

/// What a base showed, and all else that a diff asks of it.
#[derive(Serialize, Deserialize)]
pub struct Base {
    /// What it showed.
    pub view: View,
    /// Models that have a contract in it.
    pub contracts: Vec<String>,
    /// Who decides about them.
    pub deciders: BTreeMap<String, Vec<String>>,
    /// What a person should know of how it was read.
    pub notes: Vec<String>,
}

impl Base {
    /// What is kept of a base that was compiled.
    pub fn of(base: &Compiling, notes: Vec<String>) -> Self {
        let contracts = || base.workspace.manifest.contracts.values();
        Self {
            view: base.view.clone(),
            contracts: contracts().map(|contract| contract.model.value.clone()).collect(),
            deciders: waiver::deciders(contracts()),
            notes,
        }
    }
}

/// What a commit showed.
#[derive(Serialize, Deserialize)]
pub struct Memo {
    key: Fingerprint,
    env: EnvReads,
    /// What it showed.
    pub base: Base,
}

impl Memo {
    /// What identifies a base.
    pub fn key(options: &WorkspaceOptions, hash: &str, checkout: &Compiling) -> Fingerprint {
        let sources: Vec<_> = checkout.compiled.sources.iter().collect();
        let text = format!(
            "{hash} {:?} {:?} {:?} {sources:?}",
            checkout.workspace.root(),
            options.target,
            options.vars,
        );
        Fingerprint::of([b"kiln base 1".as_slice(), text.as_bytes()])
    }

    /// A memo to be kept. `env` is what was read of the environment while it was compiled.
    pub fn new(key: Fingerprint, env: EnvReads, base: Base) -> Self {
        Self { key, env, base }
    }

    /// The memo of a base, if it is still true.
    pub fn find(cache: &Cache, key: &Fingerprint, options: &WorkspaceOptions) -> Option<Self> {
        let memo: Self = cache.whole::<Option<Self>>()??;
        (memo.key == *key && same_env(&memo.env, &options.env)).then_some(memo)
    }
}

/// The file that memos are kept in.
pub fn cache(folder: &std::path::Path, binary: &str) -> Cache {
    Cache::named(folder, binary, FILE_NAME)
}
