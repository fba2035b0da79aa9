//! A sandbox: an in-memory DuckDB in which a project's SQL runs on rows that are written down. It is sealed before any of
//! that SQL gets into it: no file, no socket, no setting.

use super::session::{Session, SqlError};
use super::shadow::Shadow;
use crate::error::Result;

/// A sealed in-memory database.
pub struct Sandbox {
    session: Session,
}

impl Sandbox {
    /// Makes one; `settings` are the target's, because some of them change what SQL means.
    pub fn open(database: &str, settings: &[(String, String)], schemas: &[&str]) -> Result<Self> {
        let session = Shadow::open(database, settings)?.into_runner()?;
        for schema in schemas {
            session.execute(&format!("CREATE SCHEMA {}", crate::sql::quote::identifier(schema)))?;
        }
        // Nothing is so large that it would have to leave memory.
        session.execute(
            "SET temp_directory = ''; SET enable_external_access = false; SET lock_configuration = true",
        )?;
        Ok(Self { session })
    }

    /// The session on it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs `body` in a transaction that is always rolled back, so that nothing is left of it.
    pub fn and_forget<T>(&self, body: impl FnOnce(&Session) -> T) -> Result<T, SqlError> {
        self.session.execute("BEGIN TRANSACTION")?;
        let value = body(&self.session);
        self.session.execute("ROLLBACK")?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox() -> Sandbox {
        Sandbox::open("dev", &[], &["given"]).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn no_file_can_be_reached_and_no_setting_changed() {
        let sandbox = sandbox();
        for sql in [
            "SELECT * FROM read_csv('/etc/passwd')",
            "COPY (SELECT 1) TO '/tmp/kiln_sandbox.csv'",
            "ATTACH '/tmp/kiln_sandbox.duckdb'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ] {
            let error = sandbox.session().execute(sql).expect_err(sql);
            assert!(
                error.class.eq_ignore_ascii_case("permission") || error.message.contains("lock"),
                "{sql}: {error}"
            );
        }
    }

    #[test]
    fn nothing_is_left_of_what_ran() {
        let sandbox = sandbox();
        for _ in 0..2 {
            let made = sandbox.and_forget(|session| {
                session.execute("CREATE TABLE given.t AS SELECT 1 AS a; CREATE MACRO now() AS 7")?;
                session.count("SELECT a + now() FROM given.t")
            });
            assert_eq!(made.expect("a transaction"), Ok(8));
        }
        let broken = sandbox.and_forget(|session| session.execute("SELECT nothing"));
        assert!(broken.expect("a transaction").is_err());
        assert_eq!(sandbox.session().count("SELECT count(*) FROM duckdb_tables()"), Ok(0));
    }
}
