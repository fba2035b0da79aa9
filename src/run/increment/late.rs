//! Late: rows that came for intervals that are built already and are not built again. Known where it costs no look at old
//! rows: of raw tables, whose batches are numbered.

use crate::engine::increment::Replaces;
use crate::engine::session::SqlError;
use crate::interval::{end_of, from_text, joined, start_of, without};
use crate::manifest::Node;
use crate::run::candidate::Physical;
use crate::sql::quote::{identifier, literal};
use crate::template::Window;

use super::due::{Chooser, behind, first_row, number};
use super::left_out::{LeftOut, Parent};

impl Chooser<'_> {
    /// Rows of raw tables that came since the model was last built, for intervals that it has and does not build now.
    pub(super) fn late(&self, covered: &str, built: &[Window]) -> Vec<LeftOut> {
        let built = joined(built.iter().cloned());
        let settled: Vec<Window> =
            from_text(covered).iter().flat_map(|window| without(window, &built)).collect();
        if settled.is_empty() {
            return Vec::new();
        }
        let nodes = &self.workspace.manifest.nodes;
        let raw =
            behind(self.workspace, self.node, self.candidates).into_iter().filter_map(|(id, candidate)| {
                let node = nodes.get(id)?;
                matches!(candidate.physical, Physical::Raw { .. }).then_some(())?;
                Some((node, node.config.event_time.as_deref()?))
            });
        // What cannot be told, such as because the time cannot be read, is told where it is needed.
        raw.filter_map(|(node, column)| self.late_of(node, column, &settled).ok().flatten()).collect()
    }

    fn late_of(&self, raw: &Node, column: &str, settled: &[Window]) -> Result<Option<LeftOut>, SqlError> {
        let Some(session) = self.session else { return Ok(None) };
        // A run lands files before it builds: what was loaded up to the last run that built it was seen by that run.
        // Where no batch is that old, the table was loaded anew.
        let [batch] = first_row(session.rows(&format!(
            "SELECT max(batch_id)::VARCHAR FROM _kiln.load WHERE model = {} AND run_id <= \
             (SELECT max(run_id) FROM _kiln.interval WHERE model = {} AND target = {})",
            literal(&raw.name),
            literal(&self.node.name),
            literal(&self.workspace.target.name),
        ))?);
        let Some(batch) = batch else { return Ok(None) };
        let time = identifier(column);
        let condition = format!("_batch_id > {batch} AND ({})", Replaces::in_windows(column, settled));
        let [rows, first, last] = first_row(session.rows(&format!(
            "SELECT count(*)::VARCHAR, strftime(min({time})::TIMESTAMP, '%Y-%m-%d %H:%M:%S'), \
             strftime(max({time})::TIMESTAMP, '%Y-%m-%d %H:%M:%S') FROM {} WHERE {condition}",
            raw.relation
        ))?);
        let rows = number(rows);
        let window = |first: &str, last: &str| {
            let grain = self.config.grain;
            Some(Window { start: start_of(grain, first)?, end: end_of(grain, last)? })
        };
        Ok(first.zip(last).and_then(|(first, last)| window(&first, &last)).map(|window| LeftOut {
            of: Some(Parent {
                name: raw.name.clone(),
                column: column.to_owned(),
                query: format!("select * from {} where {condition}", raw.relation),
            }),
            late: rows,
            late_for: Some(window),
            ..LeftOut::default()
        }))
    }
}
