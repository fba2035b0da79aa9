//! Names: what `ref`, `source`, `run_query` and their kin answer while nothing but shapes is known.

use std::cell::RefCell;

use crate::engine::shadow::Shadow;
use crate::names::{NodeId, Relation};
use crate::run::candidate::Candidates;
use crate::run::names::Names;
use crate::sql::rendered::Rendered;
use crate::template::{QueryTable, Resolve};

use super::Cause;
use super::ground::Ground;

/// Answers questions about shapes; notes a question about data, which has no answer here.
pub(super) struct CompileNames<'a> {
    names: Names<'a>,
    ground: &'a Ground<'a>,
    shadow: &'a Shadow,
    /// Something that the asking template reads is not known, so neither is what the catalog says of it.
    cause: Option<&'a Cause>,
    needs: RefCell<Option<String>>,
}

impl<'a> CompileNames<'a> {
    pub fn new(
        ground: &'a Ground<'a>,
        candidates: &'a Candidates,
        shadow: &'a Shadow,
        cause: Option<&'a Cause>,
    ) -> Self {
        let names = Names { workspace: ground.workspace, candidates, session: Some(shadow.session()) };
        Self { names, ground, shadow, cause, needs: RefCell::new(None) }
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
            Some(reads) if reads.iter().all(|read| read.is_catalog()) => {
                // The catalog lists what stands, so everything that is known by now has to.
                self.ground.stand_all(self.shadow).map_err(|error| error.to_string())?;
                self.names.query(sql)
            }
            Some(reads) => {
                let data = reads.into_iter().find(|read| !read.is_catalog());
                let name = data.map(|read| read.name).unwrap_or_default();
                self.refuse(format!("its template needs the data of `{name}`"))
            }
            None => self.refuse("its template asks what only a run can answer".into()),
        }
    }

    fn columns(&self, node: &NodeId, relation: &Relation) -> Result<Vec<(String, String)>, String> {
        if self.ground.node(node).is_some_and(|known| known.relation == *relation)
            && let Some(shape) = self.ground.shape(node)
        {
            let pair =
                |column: &crate::engine::session::ColumnType| (column.name.clone(), column.data_type.clone());
            return Ok(shape.columns.iter().map(pair).collect());
        }
        let stands = self.ground.stand(self.shadow, self.ground.landing(node));
        match stands.map_err(|error| error.to_string()).and_then(|_| self.names.columns(node, relation)) {
            Ok(columns) => Ok(columns),
            Err(_) => {
                self.refuse(format!("it asks for the columns of `{}`, which are not known", node.short()))
            }
        }
    }
}
