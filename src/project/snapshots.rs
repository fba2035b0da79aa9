//! Snapshots in files: `{% snapshot name %}` blocks, and `relation:` in YAML.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::walk::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, SourceFile};

static OPEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{%[-+]?\s*snapshot\s+([A-Za-z_][A-Za-z0-9_]*)\s*[-+]?%\}").expect("the pattern is valid")
});

static CLOSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{%[-+]?\s*endsnapshot\s*[-+]?%\}").expect("the pattern is valid"));

/// The snapshots of a file, each as a template of its own in which everything keeps its place.
pub(super) fn blocks(file: &Resource, problems: &mut Diagnostics) -> Vec<Resource> {
    let text = &file.file.text;
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = OPEN.captures_at(text, at) {
        let (whole, name) = (open.get(0).map(|tag| tag.range()).unwrap_or_default(), open[1].to_owned());
        let Some(close) = CLOSE.find_at(text, whole.end) else {
            problems.push(
                Diagnostic::error("template-syntax", "this snapshot is never closed")
                    .at(&Location::new(&file.file, whole), "opened here")
                    .help("end it with `{% endsnapshot %}`"),
            );
            return found;
        };
        // What is outside becomes blank and the tags become comments, so that lines and columns are those of the file.
        let blank = |part: &str| -> String {
            part.chars().map(|c| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) }).collect()
        };
        let comment = |tag: &str| tag.replacen("{%", "{#", 1).replace("%}", "#}");
        let own = format!(
            "{}{}{}{}{}",
            blank(&text[..whole.start]),
            comment(&text[whole.clone()]),
            &text[whole.end..close.start()],
            comment(close.as_str()),
            blank(&text[close.end()..])
        );
        found.push(Resource { name, file: SourceFile::new(file.file.path.clone(), own), ..file.clone() });
        at = close.end();
    }
    if found.is_empty() {
        problems.push(
            Diagnostic::error("snapshot-block", "this file has no snapshot")
                .at(&Location::whole_file(&file.file.path), "")
                .help("write `{% snapshot name %} select ... {% endsnapshot %}`"),
        );
    }
    found
}

/// The snapshot of all rows of a relation.
pub(super) fn of_relation(resource: &Resource, name: &str, relation: &Located<String>) -> Resource {
    // dbt's name for it: it has no file of its own.
    let path = relation.at.path().join(format!("{name}.sql"));
    let file: Arc<SourceFile> =
        SourceFile::new(path, format!("select * from {{{{ {} }}}}\n", relation.value));
    Resource {
        package: resource.package.clone(),
        name: name.to_owned(),
        folders: resource.folders.clone(),
        file,
    }
}
