//! Standing: new rows that change nothing make no version. Readers go on with the one that they have, nothing is published
//! for them and no child is built again; what was looked at is remembered, so that the next run need not look.

use crate::engine::increment::{delta_of, quoted, undo_of};
use crate::engine::session::ColumnType;
use crate::engine::state::increment::{Increment, Settled, settle};
use crate::interval::{Intervals, from_text};
use crate::run::build::{Failure, Made, Stands};
use crate::run::event::RowChange;
use crate::sql::quote::identifiers;

use super::Base;
use super::fill::Filled;
use super::make::{Making, Place};

/// Most new rows that are compared with those whose place they take: beyond that it costs as much as it can save.
const COMPARED: u64 = 1_000_000;

impl Making<'_> {
    /// Whether all that was due was looked at, and by this run.
    pub(super) fn may_stand(&self, filled: Option<&Filled>) -> bool {
        self.growth.resume.is_none() && filled.is_none_or(|filled| filled.failed.is_empty())
    }

    /// Whether the new rows are those whose place they take.
    pub(super) fn brings_the_same(&self, columns: &[ColumnType], change: RowChange) -> Result<bool, Failure> {
        if change.added != change.replaced || change.added > COMPARED {
            return Ok(false);
        }
        let columns = identifiers(columns.iter().map(|column| &column.name));
        let different = self.session.count(&format!(
            "SELECT count(*) FROM (SELECT {columns} FROM {} EXCEPT ALL SELECT {columns} FROM {})",
            quoted(&delta_of(self.relation())),
            quoted(&undo_of(self.relation())),
        ))?;
        Ok(different == 0)
    }

    /// Makes nothing: the version before shows what this one would.
    pub(super) fn stand(
        &self,
        base: &Base,
        place: Place,
        filled: Option<&Filled>,
    ) -> Result<(Made, Vec<String>), Failure> {
        for table in [delta_of(self.relation()), undo_of(self.relation())] {
            self.session.execute(&format!("DROP TABLE IF EXISTS {}", quoted(&table)))?;
        }
        let version = &base.increment;
        let settled = match place {
            // Intervals without rows are not noted as done: they are looked at again when there is news.
            Place::Table => {
                Settled { inputs: self.growth.settles.clone(), parents: self.growth.parents.clone() }
            }
            // What another target's table holds is for its own runs to say.
            Place::Copy => Settled { inputs: self.growth.settles.clone(), ..Settled::default() },
        };
        settle(self.session, version, &settled)?;
        let ledger = Increment { target: self.target.to_owned(), ..version.clone() };
        self.record_intervals(&ledger, filled)?;
        let intervals = filled.map(|_| {
            let covered = from_text(&version.covered);
            Box::new(Intervals { built: Vec::new(), covered, base: Some(version.relation.clone()) })
        });
        let stands = Stands {
            fingerprint: version.fingerprint.clone(),
            relation: version.relation.clone(),
            intervals,
        };
        let rows = self.rows_before(base)?;
        Ok((Made { stands: Some(stands), ..Made::of(Some(rows)) }, Vec::new()))
    }
}
