//! Definitions of the database: where SQL calls a function or names a type that nobody knows, the target's database is asked
//! whether somebody made it there by hand, if there is such a file. Its catalog is read before the shadow is sealed; a project
//! that needs nothing of it never opens the file.

use super::Compiled;
use crate::diagnostic::{Diagnostics, Severity};
use crate::engine::definitions::{Definitions, read};
use crate::engine::shadow::Shadow;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Codes of what a database may know.
const ASKED: [&str; 2] = ["unknown-function", "unknown-type"];

/// Compiles again with what the database defines, if that may help; else says why it was not asked.
pub(super) fn again(
    workspace: &Workspace,
    mut compiled: Compiled,
    compile: impl FnOnce(&Definitions) -> Result<Compiled>,
) -> Result<Compiled> {
    let is_asked = compiled
        .diagnostics
        .sorted()
        .iter()
        .any(|found| found.severity == Severity::Error && ASKED.contains(&found.code));
    if !is_asked {
        return Ok(compiled);
    }
    let file = workspace.target.database(workspace.root());
    let shown = workspace.target.path.display();
    let reason = match file.is_file().then(|| read(&file)) {
        Some(Ok(definitions)) if definitions.statements.is_empty() => return Ok(compiled),
        Some(Ok(definitions)) => return Ok(Compiled { asked_database: true, ..compile(&definitions)? }),
        Some(Err(Error::Interrupted)) => return Err(Error::Interrupted),
        Some(Err(error)) => format!("and that cannot be read now: {error}"),
        None => "which is not there".to_owned(),
    };
    let explained = compiled.diagnostics.sorted().into_iter().cloned().map(|found| {
        // A name that is nearly another one was misspelt.
        match ASKED.contains(&found.code) && found.help.is_empty() {
            true => {
                found.help(format!("what is made in the database by hand is read from `{shown}`, {reason}"))
            }
            false => found,
        }
    });
    compiled.diagnostics = explained.collect::<Diagnostics>();
    Ok(compiled)
}

/// Makes them in a shadow that is still without tables. A macro that cannot be made even so is left out.
pub(super) fn make(shadow: &Shadow, definitions: &Definitions) -> Result<()> {
    if definitions.statements.is_empty() {
        return Ok(());
    }
    shadow.create_schemas(definitions.schemas.iter().map(String::as_str))?;
    let mut left: Vec<&str> = definitions.statements.iter().map(String::as_str).collect();
    make_all(shadow, &mut left);
    if left.is_empty() {
        return Ok(());
    }
    // DuckDB makes no macro that reads what is not there, and minds no more once it is made.
    shadow.create_schemas(definitions.relations.iter().map(|(relation, _)| relation.schema.as_str()))?;
    let there = definitions.relations.iter();
    let there: Vec<_> =
        there.filter(|(relation, columns)| shadow.create(relation, columns).is_ok()).collect();
    make_all(shadow, &mut left);
    for (relation, _) in there {
        shadow.session().execute(&format!("DROP TABLE {relation}"))?;
    }
    Ok(())
}

/// Makes what can be made; one may need another.
fn make_all(shadow: &Shadow, left: &mut Vec<&str>) {
    loop {
        let before = left.len();
        left.retain(|statement| shadow.session().execute(statement).is_err());
        if left.len() == before {
            return;
        }
    }
}
