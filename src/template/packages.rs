//! The macros that Kiln brings under the names that people know: dbt's own for DuckDB, and parts of
//! `dbt_utils` and `dbt_date`.

use super::MacroFile;
use crate::diagnostic::SourceFile;

const FILES: &[(&str, &str, &str)] = &[
    ("dbt", "kiln/dbt/cross_db.sql", include_str!("packages/dbt/cross_db.sql")),
    ("dbt_utils", "kiln/dbt_utils/sql.sql", include_str!("packages/dbt_utils/sql.sql")),
    ("dbt_utils", "kiln/dbt_utils/tables.sql", include_str!("packages/dbt_utils/tables.sql")),
    ("dbt_utils", "kiln/dbt_utils/values.sql", include_str!("packages/dbt_utils/values.sql")),
    ("dbt_date", "kiln/dbt_date/dates.sql", include_str!("packages/dbt_date/dates.sql")),
];

/// All files.
pub(super) fn files() -> impl Iterator<Item = MacroFile> {
    FILES.iter().map(|(package, path, text)| MacroFile {
        package: (*package).to_owned(),
        file: SourceFile::new(*path, *text),
    })
}
