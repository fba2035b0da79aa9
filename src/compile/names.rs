//! Names: what `ref`, `source`, `run_query` and their kin answer while nothing but shapes is known.

use std::cell::RefCell;

use crate::engine::shadow::Shadow;
use crate::names::{NodeId, Relation};
use crate::run::candidate::Candidates;
use crate::run::names::Names;
use crate::sql::rendered::Rendered;
use crate::template::{QueryTable, Resolve};
use crate::workspace::Workspace;

use super::Cause;

/// Answers questions about shapes; notes a question about data, which has no answer here.
pub(super) struct CompileNames<'a> {
    names: Names<'a>,
    shadow: &'a Shadow,
    /// Something that the asking template reads is not known, so neither is what the catalog says of it.
    cause: Option<&'a Cause>,
    needs: RefCell<Option<String>>,
}

impl<'a> CompileNames<'a> {
    pub fn new(
        workspace: &'a Workspace,
        candidates: &'a Candidates,
        shadow: &'a Shadow,
        cause: Option<&'a Cause>,
    ) -> Self {
        let names = Names { workspace, candidates, session: Some(shadow.session()) };
        Self { names, shadow, cause, needs: RefCell::new(None) }
    }

    /// What the template needs that only a run has.
    pub fn needs(&self) -> Option<String> {
        self.needs.borrow().clone()
    }

    fn refuse<T>(&self, why: String) -> Result<T, String> {
        *self.needs.borrow_mut() = Some(why.clone());
        Err(why)
    }
}

impl Resolve for CompileNames<'_> {
    fn reference(&self, package: Option<&str>, name: &str) -> Result<(NodeId, Relation), String> {
        self.names.reference(package, name)
    }

    fn source(&self, source: &str, table: &str) -> Result<(NodeId, Relation), String> {
        self.names.source(source, table)
    }

    fn query(&self, sql: &Rendered) -> Result<QueryTable, String> {
        if let Some(cause) = self.cause {
            return self.refuse(format!("it asks of `{}`, which is not known", cause.root.short()));
        }
        match self.shadow.reads(&sql.sql) {
            Some(reads) if reads.iter().all(|read| read.is_catalog()) => self.names.query(sql),
            Some(reads) => {
                let data = reads.into_iter().find(|read| !read.is_catalog());
                let name = data.map(|read| read.name).unwrap_or_default();
                self.refuse(format!("its template needs the data of `{name}`"))
            }
            None => self.refuse("its template asks what only a run can answer".into()),
        }
    }

    fn columns(&self, node: &NodeId, relation: &Relation) -> Result<Vec<(String, String)>, String> {
        match self.names.columns(node, relation) {
            Ok(columns) => Ok(columns),
            Err(_) => {
                self.refuse(format!("it asks for the columns of `{}`, which are not known", node.short()))
            }
        }
    }
}
