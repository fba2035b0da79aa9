//! Writing: a site into a folder that may hold an older one, and nothing of anybody else's.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Where a site says which files it consists of.
pub const LIST: &str = "data/manifest.json";

/// A folder that takes files of a site.
pub struct Folder<'a> {
    path: &'a Path,
    /// Files of the site that was here before.
    before: BTreeSet<String>,
    written: BTreeSet<String>,
    bytes: u64,
}

impl<'a> Folder<'a> {
    /// Looks what is there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(path: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|error| Error::io("create the folder", path, &error))?;
        Ok(Self { path, before: listed(path), written: BTreeSet::new(), bytes: 0 })
    }

    /// Says beforehand which files will come, so that a writing that is cut short can be taken up again.
    ///
    /// # Errors
    /// One of them is there and not of a site of Kiln's, or the disk said no.
    pub fn announce(&mut self, files: &[String]) -> Result<()> {
        for file in files.iter().map(String::as_str).chain([LIST]) {
            if !self.before.contains(file) && self.path.join(file).symlink_metadata().is_ok() {
                return Err(Error::usage(format!(
                    "`{}` is there already and is not of a site that kiln made",
                    self.path.join(file).display()
                ))
                .hint("give an empty folder with `--out`, or move the file away"));
            }
        }
        let all: BTreeSet<&str> =
            self.before.iter().map(String::as_str).chain(files.iter().map(String::as_str)).collect();
        let list = json!({"generator": super::GENERATOR, "files": all});
        self.put(LIST, format!("{list}\n").as_bytes())
    }

    /// Writes a file, unless it is there as it is to be.
    ///
    /// # Errors
    /// The disk said no.
    pub fn write(&mut self, file: &str, content: &[u8]) -> Result<()> {
        self.bytes += content.len() as u64;
        self.written.insert(file.to_owned());
        self.put(file, content)
    }

    fn put(&self, file: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(file);
        if std::fs::read(&path).is_ok_and(|there| there == content) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(self.path);
        std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
        std::fs::write(&path, content).map_err(|error| Error::io("write", &path, &error))
    }

    /// Removes what the site before had and this one has not. Gives how many files there are, and their bytes.
    ///
    /// # Errors
    /// The disk said no.
    pub fn finish(self) -> Result<(u64, u64)> {
        for file in self.before.difference(&self.written) {
            let path = self.path.join(file);
            // Only what is a file: a folder or a link of that name was made by somebody else.
            if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
                continue;
            }
            std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))?;
            // A folder that is not empty stays.
            let folders = Path::new(file).ancestors().skip(1).filter(|folder| *folder != Path::new(""));
            for folder in folders {
                if std::fs::remove_dir(self.path.join(folder)).is_err() {
                    break;
                }
            }
        }
        Ok((self.written.len() as u64, self.bytes))
    }
}

/// Writes the file of a site that is one file.
///
/// # Errors
/// There is a file that is no site of Kiln's, or the disk said no.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    let there = std::fs::read(path).unwrap_or_default();
    let head = String::from_utf8_lossy(&there[..there.len().min(2000)]);
    if !there.is_empty() && !head.contains("<meta name=\"generator\" content=\"kiln\">") {
        return Err(Error::usage(format!(
            "`{}` is there already and is not a site that kiln made",
            path.display()
        ))
        .hint("give another name with `--out`, or move the file away"));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
    }
    std::fs::write(path, text).map_err(|error| Error::io("write", path, &error))
}

/// The files that a site says it consists of. What could lead out of its folder is not believed.
fn listed(folder: &Path) -> BTreeSet<String> {
    let list = std::fs::read_to_string(folder.join(LIST)).ok();
    let list: Option<Value> = list.and_then(|text| serde_json::from_str(&text).ok());
    let Some(list) = list.filter(|list| list["generator"] == super::GENERATOR) else {
        return BTreeSet::new();
    };
    let inside = |file: &&str| Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    let files = list["files"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(inside);
    files.map(str::to_owned).chain([LIST.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path, files: &[(&str, &str)]) -> Result<(u64, u64)> {
        let mut out = Folder::open(folder)?;
        let mut names: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.push(LIST.to_owned());
        out.announce(&names)?;
        for (name, text) in files {
            out.write(name, text.as_bytes())?;
        }
        let list = json!({"generator": crate::docs::GENERATOR, "files": names});
        out.write(LIST, list.to_string().as_bytes())?;
        out.finish()
    }

    #[test]
    fn an_older_site_goes_and_what_is_not_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        make(path, &[("index.html", "1"), ("m/a.html", "a"), ("c/b.html", "b")]).unwrap();
        std::fs::write(path.join("m/mine.txt"), "x").unwrap();
        make(path, &[("index.html", "2"), ("n/a.html", "a")]).unwrap();
        let there = |file: &str| path.join(file).exists();
        assert!(there("n/a.html") && there("m/mine.txt"));
        assert!(!there("m/a.html") && !there("c"));
        assert_eq!(std::fs::read_to_string(path.join("index.html")).unwrap(), "2");
    }

    #[test]
    fn a_file_of_somebody_else_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "mine").unwrap();
        let error = make(folder.path(), &[("index.html", "1")]).unwrap_err().to_string();
        let error = error.replace(&*folder.path().to_string_lossy(), "DIR");
        insta::assert_snapshot!(error, @"
        `DIR/index.html` is there already and is not of a site that kiln made
        help: give an empty folder with `--out`, or move the file away
        ");
        assert_eq!(std::fs::read_to_string(folder.path().join("index.html")).unwrap(), "mine");
    }

    #[test]
    fn a_list_that_leads_out_is_not_believed() {
        let outer = tempfile::tempdir().unwrap();
        let victim = outer.path().join("victim");
        std::fs::write(&victim, "x").unwrap();
        let folder = outer.path().join("site");
        std::fs::create_dir_all(folder.join("data")).unwrap();
        let list = json!({"generator": crate::docs::GENERATOR, "files": ["../victim", victim.to_string_lossy(), "m/../../victim"]});
        std::fs::write(folder.join(LIST), list.to_string()).unwrap();
        make(&folder, &[("index.html", "1")]).unwrap();
        assert!(victim.exists());
    }
}
