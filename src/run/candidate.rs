//! A candidate: what a node is for this run, while readers may see something else under its name.

use std::collections::HashMap;

use crate::engine::session::ColumnType;
use crate::engine::state::DATA_SCHEMA;
use crate::names::{Fingerprint, NodeId, Relation};
use crate::sql::quote::identifiers;
use crate::sql::rendered::Rendered;
use crate::sql::seat::{Seat, seat};
use crate::sql::tokens::{CteSeat, cte_seat};

use crate::interval::Intervals;

/// What stands behind a node's name in this run.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What it is made from.
    pub fingerprint: Fingerprint,
    /// Where it is.
    pub physical: Physical,
    /// Rows, where known.
    pub rows: Option<u64>,
    /// Its intervals, where this run builds it by intervals.
    pub intervals: Option<Box<Intervals>>,
    /// For what has no rows of its own: why it is never the same twice, if it is not.
    pub volatile: Option<String>,
}

/// Where a candidate is.
#[derive(Debug, Clone)]
pub enum Physical {
    /// A build: its name in the data schema.
    Build(String),
    /// A raw table, up to a batch: what is loaded later is not in it.
    Raw {
        /// The table.
        relation: Relation,
        /// Its columns.
        columns: Vec<ColumnType>,
        /// The last batch.
        batch: i64,
    },
    /// A relation outside Kiln.
    Source(Relation),
    /// The SQL of an ephemeral model, to be pasted.
    Inline(Box<Rendered>),
    /// Some rows of another: those that meet a condition.
    Slice {
        /// Of what.
        of: Box<Physical>,
        /// Which, as SQL.
        condition: String,
    },
}

/// The candidates known so far.
pub type Candidates = HashMap<NodeId, Candidate>;

/// Whether SQL is run now or kept as a view's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Run now: a raw table is read as it is.
    Now,
    /// Kept: a raw table is pinned to its columns and batches of now, so that what is loaded later shows only after it
    /// has been audited and published.
    Pinned,
}

/// SQL with physical names, and the way back from its offsets to the rendered SQL.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The text.
    pub sql: String,
    /// Names in the data schema that it reads.
    pub reads: Vec<String>,
    /// (start in `sql`, end in `sql`, start in the rendered SQL) of the parts that are the same in both.
    same: Vec<(usize, usize, usize)>,
}

impl Bound {
    /// The offset in the rendered SQL for one in this text; inside a replaced name, the name's start.
    pub fn to_rendered(&self, offset: usize) -> Option<usize> {
        let mut last = None;
        for (start, end, rendered) in &self.same {
            if offset < *start {
                break;
            }
            last = Some(rendered + (offset.min(*end) - start));
        }
        last
    }
}

/// Puts candidates into rendered SQL. Ephemeral models become common table expressions in front.
pub fn bind(rendered: &Rendered, candidates: &Candidates, reading: Reading) -> Bound {
    let mut reads = Vec::new();
    let mut ctes = Vec::new();
    let (body, same) = replace(rendered, candidates, Place { reading, of: Text::Own }, &mut reads, &mut ctes);
    let trimmed = body.trim_end().trim_end_matches(';').trim_end().len();
    let mut body = body;
    body.truncate(trimmed);
    reads.sort();
    reads.dedup();
    if ctes.is_empty() {
        return Bound { sql: body, reads, same };
    }
    let list: Vec<String> = ctes.iter().map(|(name, sql)| format!("\"{name}\" as (\n{sql}\n)")).collect();
    let list = list.join(",\n");
    let (at, insert) = match cte_seat(&body) {
        CteSeat::Start(at) => (at, format!("with {list}\n")),
        CteSeat::AfterWith(at) => (at, format!(" {list},")),
    };
    body.insert_str(at, &insert);
    let shift = insert.len();
    let mut shifted = Vec::with_capacity(same.len() + 1);
    for (start, end, from) in same {
        if end <= at {
            shifted.push((start, end, from));
        } else if start >= at {
            shifted.push((start + shift, end + shift, from));
        } else {
            shifted.push((start, at, from));
            shifted.push((at + shift, end + shift, from + (at - start)));
        }
    }
    Bound { sql: body, reads, same: shifted }
}

/// Where a name stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// How it is read there.
    reading: Reading,
    /// In whose text.
    of: Text,
}

/// Whose text a name stands in.
#[derive(Debug, Clone, Copy)]
enum Text {
    /// The node's own: a slice of a parent is a slice there.
    Own,
    /// That of an ephemeral model, which says the same whoever reads it: what it reads is never sliced.
    Pasted,
}

/// Parts of a text that are the same as in the rendered one: start, end, start there.
type Same = Vec<(usize, usize, usize)>;

fn replace(
    rendered: &Rendered,
    candidates: &Candidates,
    place: Place,
    reads: &mut Vec<String>,
    ctes: &mut Vec<(String, String)>,
) -> (String, Same) {
    let mut text = String::with_capacity(rendered.sql.len() + 64 * rendered.slots.len());
    let mut same = Vec::with_capacity(rendered.slots.len() + 1);
    let mut at = 0;
    for slot in &rendered.slots {
        same.push((text.len(), text.len() + slot.range.start - at, at));
        text.push_str(&rendered.sql[at..slot.range.start]);
        match candidates.get(&slot.node) {
            Some(candidate) => {
                let published = published_name(&rendered.sql[slot.range.clone()]);
                match seat(&rendered.sql, &slot.range) {
                    Seat::Qualifier => text.push_str(published),
                    seat => {
                        let found = name(&slot.node, &candidate.physical, candidates, place, reads, ctes);
                        text.push_str(&found);
                        if seat == Seat::Bare {
                            text.push_str(" as ");
                            text.push_str(published);
                        }
                    }
                }
            }
            None => text.push_str(&rendered.sql[slot.range.clone()]),
        }
        at = slot.range.end;
    }
    same.push((text.len(), text.len() + rendered.sql.len() - at, at));
    text.push_str(&rendered.sql[at..]);
    (text, same)
}

/// The last part of a quoted name: `"orders"` of `"curated"."orders"`.
fn published_name(quoted: &str) -> &str {
    match quoted.ends_with('"') {
        true => quoted.find("\".\"").map_or(quoted, |at| &quoted[at + 2..]),
        false => quoted,
    }
}

fn name(
    node: &NodeId,
    physical: &Physical,
    candidates: &Candidates,
    place: Place,
    reads: &mut Vec<String>,
    ctes: &mut Vec<(String, String)>,
) -> String {
    match physical {
        Physical::Slice { of, condition } => {
            let whole = name(node, of, candidates, place, reads, ctes);
            match place.of {
                Text::Own => format!("(select * from {whole} where {condition})"),
                Text::Pasted => whole,
            }
        }
        Physical::Build(build) => {
            reads.push(build.clone());
            Relation::new(DATA_SCHEMA, build).to_string()
        }
        Physical::Source(relation) => relation.to_string(),
        Physical::Raw { relation, columns, batch } => match place.reading {
            Reading::Now => relation.to_string(),
            Reading::Pinned => {
                let columns = identifiers(columns.iter().map(|column| &column.name));
                format!("(select {columns} from {relation} where _batch_id <= {batch})")
            }
        },
        Physical::Inline(rendered) => {
            // dbt's name for it, so that hand-written references to it keep working.
            let cte = format!("__dbt__cte__{}", node.short().replace('"', ""));
            if !ctes.iter().any(|(known, _)| *known == cte) {
                let place = Place { of: Text::Pasted, ..place };
                let (sql, _) = replace(rendered, candidates, place, reads, ctes);
                let sql = sql.trim_end().trim_end_matches(';').to_owned();
                if !ctes.iter().any(|(known, _)| *known == cte) {
                    ctes.push((cte.clone(), sql));
                }
            }
            format!("\"{cte}\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rendered::Slot;

    fn node(name: &str) -> NodeId {
        NodeId::new("model", "p", name)
    }

    fn rendered(sql: &str, slots: &[&str]) -> Rendered {
        let mut found = Vec::new();
        for slot in slots {
            let start = sql.find(&format!("\"{slot}\"")).expect("the slot is there");
            found.push(Slot { range: start..start + slot.len() + 2, node: node(slot) });
        }
        Rendered { sql: sql.into(), slots: found, origins: Vec::new() }
    }

    fn candidate(physical: Physical) -> Candidate {
        Candidate { fingerprint: Fingerprint::of([]), physical, rows: None, intervals: None, volatile: None }
    }

    #[test]
    fn names_are_put_in_and_offsets_found_again() {
        let candidates = HashMap::from([(node("a"), candidate(Physical::Build("x__a__1".into())))]);
        let bound = bind(&rendered("select b from \"a\" where c;\n", &["a"]), &candidates, Reading::Now);
        assert_eq!(bound.sql, "select b from \"_kiln_data\".\"x__a__1\" as \"a\" where c");
        assert_eq!(bound.reads, ["x__a__1"]);
        let at = bound.sql.find("where").expect("it is there");
        assert_eq!(bound.to_rendered(at), Some(18));
    }

    #[test]
    fn ephemeral_models_are_pasted_in_order() {
        let inner = rendered("select 1 as x", &[]);
        let outer = rendered("with z as (select 2) select x from \"inner\", z", &["inner"]);
        let candidates = HashMap::from([
            (node("inner"), candidate(Physical::Inline(Box::new(inner)))),
            (node("outer"), candidate(Physical::Inline(Box::new(outer)))),
        ]);
        let bound = bind(&rendered("-- top\nselect * from \"outer\"", &["outer"]), &candidates, Reading::Now);
        insta::assert_snapshot!(bound.sql);
        let at = bound.sql.find("select * from").expect("it is there");
        assert_eq!(bound.to_rendered(at), Some(7));
    }

    #[test]
    fn a_kept_view_sees_a_raw_table_as_it_is_now() {
        let columns = vec![ColumnType { name: "a b".into(), data_type: "INTEGER".into() }];
        let raw = Physical::Raw { relation: Relation::new("raw", "r"), columns, batch: 7 };
        let candidates = HashMap::from([(node("r"), candidate(raw))]);
        let sql = rendered("select * from \"r\" as r", &["r"]);
        assert_eq!(bind(&sql, &candidates, Reading::Now).sql, "select * from \"raw\".\"r\" as r");
        assert_eq!(
            bind(&sql, &candidates, Reading::Pinned).sql,
            "select * from (select \"a b\" from \"raw\".\"r\" where _batch_id <= 7) as r"
        );
    }
}
