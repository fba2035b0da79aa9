//! The ground of a side: a database of empty tables in which its queries bind. Tables are made when a query first reads
//! them, so that a large project costs what is asked of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::view::View;
use crate::engine::lineage::{of_query, shape_of};
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::{ColumnType, SqlError};
use crate::engine::shadow::Shadow;
use crate::error::Result;
use crate::manifest::Materialization;
use crate::names::{NodeId, Relation};
use crate::sql::lineage::Lineage;
use crate::sql::shape::Shape;

/// What the databases of both sides have in common: what a name of three parts and what SQL means.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// The database's name.
    pub database: String,
    /// The target's settings.
    pub settings: Vec<(String, String)>,
}

/// One side's empty tables.
pub struct Ground<'v> {
    view: &'v View,
    shadow: Shadow,
    named: HashMap<(String, String), NodeId>,
    made: RefCell<HashSet<NodeId>>,
    lineages: RefCell<HashMap<NodeId, Rc<Lineage>>>,
    /// New ids by old ones, for comparing shapes with the other side's.
    called: BTreeMap<NodeId, NodeId>,
}

impl<'v> Ground<'v> {
    /// Opens one without a table.
    pub fn open(view: &'v View, machine: &Machine) -> Result<Self> {
        let shadow = Shadow::open(&machine.database, &machine.settings)?;
        let models = view.models.iter().map(|(id, model)| (id, &model.relation));
        let sources = view.sources.iter().map(|(id, source)| (id, &source.relation));
        let all: Vec<(&NodeId, &Relation)> = models.chain(sources).collect();
        shadow.create_schemas(all.iter().map(|(_, relation)| relation.schema.as_str()))?;
        shadow.seal()?;
        let named = all.into_iter().map(|(id, relation)| (key(relation), id.clone())).collect();
        Ok(Self {
            view,
            shadow,
            named,
            made: RefCell::default(),
            lineages: RefCell::default(),
            called: BTreeMap::new(),
        })
    }

    /// The same, calling nodes in shapes by what they are called on the other side.
    pub fn calling(mut self, renamed: &BTreeMap<NodeId, NodeId>) -> Self {
        self.called = renamed.clone();
        self
    }

    /// Whose relation it is.
    pub fn owner(&self, relation: &Relation) -> Option<&NodeId> {
        self.named.get(&key(relation))
    }

    /// The columns of a query, or why it does not bind.
    pub fn bind(&self, sql: &str) -> Result<std::result::Result<Vec<ColumnType>, SqlError>> {
        self.provide(sql)?;
        match self.shadow.session().describe(sql) {
            Err(error) if error.is_interrupt() || error.is_machine() => Err(error.into()),
            found => Ok(found),
        }
    }

    /// The shape of a query, or why it cannot be told.
    pub fn shape(&self, sql: &str) -> Result<std::result::Result<Shape, String>> {
        self.provide(sql)?;
        let name = |schema: &str, name: &str| {
            let relation = Relation::new(schema, name);
            let owner = self.owner(&relation).map(|id| self.called.get(id).unwrap_or(id));
            owner.map_or_else(|| relation.plain(), NodeId::to_string)
        };
        Ok(shape_of(self.shadow.session(), sql, &name)?)
    }

    /// The column lineage of a model.
    pub fn lineage(&self, id: &NodeId) -> Result<Rc<Lineage>> {
        if let Some(known) = self.lineages.borrow().get(id) {
            return Ok(Rc::clone(known));
        }
        let sql = self.view.models.get(id).map(|model| model.sql.as_str()).unwrap_or_default();
        let lineage = Rc::new(match sql.is_empty() {
            true => Lineage::default(),
            false => self.query_lineage(sql)?,
        });
        self.lineages.borrow_mut().insert(id.clone(), Rc::clone(&lineage));
        Ok(lineage)
    }

    /// The column lineage of any query. One that does not bind is unknown.
    pub fn query_lineage(&self, sql: &str) -> Result<Lineage> {
        match self.bind(sql)? {
            Ok(columns) => {
                let outputs: Vec<String> = columns.into_iter().map(|column| column.name).collect();
                Ok(of_query(self.shadow.session(), sql, &outputs)?)
            }
            Err(error) => Ok(Lineage::unknown(&["*".to_owned()], error.sentence())),
        }
    }

    /// DuckDB's spelling of a written type.
    pub fn canonical(&self, written: &str) -> Option<String> {
        self.shadow.session().canonical_type(written)
    }

    /// Makes the tables that a query names.
    fn provide(&self, sql: &str) -> Result<()> {
        let wanted: BTreeSet<NodeId> = match self.shadow.reads(sql) {
            Some(reads) => reads
                .into_iter()
                .filter_map(|read| {
                    let schema = if read.schema.is_empty() { "main".to_owned() } else { read.schema };
                    self.named.get(&(schema, read.name)).cloned()
                })
                .collect(),
            None => self.named.values().cloned().collect(),
        };
        for id in wanted {
            if self.made.borrow_mut().insert(id.clone()) {
                self.make(&id)?;
            }
        }
        Ok(())
    }

    fn make(&self, id: &NodeId) -> Result<()> {
        let Some(columns) = self.view.columns(id) else { return Ok(()) };
        let mut columns = columns.to_vec();
        let own = |name: &str, kind: &str| ColumnType { name: name.into(), data_type: kind.into() };
        let relation = match (self.view.models.get(id), self.view.sources.get(id)) {
            (Some(model), _) => {
                if model.materialized == Materialization::Append.as_str() {
                    columns.extend(OWN_COLUMNS.iter().map(|(name, kind)| own(name, kind)));
                }
                &model.relation
            }
            (None, Some(source)) => {
                if !columns.iter().any(|column| column.name == "_source_object") {
                    columns.push(own("_source_object", "VARCHAR"));
                }
                &source.relation
            }
            (None, None) => return Ok(()),
        };
        if columns.is_empty() {
            return Ok(());
        }
        Ok(self.shadow.create(relation, &columns)?)
    }
}

fn key(relation: &Relation) -> (String, String) {
    (relation.schema.to_lowercase(), relation.name.to_lowercase())
}
