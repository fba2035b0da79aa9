//! `kiln init`: writes a project that runs at once.

use std::path::Path;

use crate::cli::InitArgs;
use crate::error::{Error, Result};

use super::Exit;
use super::artifacts::write;
use super::terminal::{Paint, Terminal};

/// The project's files, with `shop` for its name.
const FILES: [(&str, &str); 9] = [
    ("kiln.yml", include_str!("init/kiln.yml")),
    ("models/raw/sources.yml", include_str!("init/models/raw/sources.yml")),
    ("models/raw/raw_orders.sql", include_str!("init/models/raw/raw_orders.sql")),
    ("models/curated/curated_orders.sql", include_str!("init/models/curated/curated_orders.sql")),
    ("models/serving/revenue_by_day.sql", include_str!("init/models/serving/revenue_by_day.sql")),
    ("models/schema.yml", include_str!("init/models/schema.yml")),
    ("contracts/revenue_by_day.odcs.yaml", include_str!("init/contracts/revenue_by_day.odcs.yaml")),
    ("landing/orders/2026-11-01.csv", include_str!("init/landing/orders/2026-11-01.csv")),
    ("landing/orders/2026-11-02.csv", include_str!("init/landing/orders/2026-11-02.csv")),
];

const GITIGNORE: &str = "target/\n*.duckdb\n*.duckdb.wal\n*.duckdb.lock\n";

/// Writes.
pub fn init(terminal: &Terminal, args: &InitArgs) -> Result<Exit> {
    let folder = &args.dir;
    let is_taken = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::io("write into", folder, &error)),
    };
    if is_taken {
        return Err(Error::usage(format!("`{}` is not empty", folder.display()))
            .hint("name a folder that is empty or does not exist yet"));
    }
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
    let name = project_name(folder);
    for (path, text) in FILES {
        let text = match path {
            "kiln.yml" => text
                .replace("name: shop\n", &format!("name: {name}\n"))
                .replace("models:\n  shop:\n", &format!("models:\n  {name}:\n")),
            _ => text.to_owned(),
        };
        write(&folder.join(path), &text)?;
    }
    write(&folder.join(".gitignore"), GITIGNORE)?;
    terminal.talk(&format!(
        " {} {} in {}: one source, three models, a contract\n\n  cd {}\n  kiln run\n  kiln show revenue_by_day\n",
        terminal.paint(Paint::Green, "Wrote"),
        name,
        folder.display(),
        folder.display(),
    ));
    Ok(Exit::Fine)
}

/// The folder's name as a project's: letters, digits and underscores, a letter first.
fn project_name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = whole.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name,
        false => format!("project_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_a_name() {
        assert_eq!(project_name(Path::new("/no/such/My-Shop")), "my_shop");
        assert_eq!(project_name(Path::new("/no/such/2026")), "project_2026");
    }
}
