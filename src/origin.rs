//! Origin: who runs, from which commit of the project, in which job. It is what a release says of where it came from.
//!
//! Nothing here is a secret or a path of the machine, and no other program is asked: git's own files say where a checkout
//! stands, in the time that it takes to open them.

use std::path::{Path, PathBuf};

/// Longer names and addresses are nobody's.
const LONGEST: usize = 300;

/// Where a run comes from, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Who started it: a login.
    pub by: Option<String>,
    /// The commit that the project's folder is a checkout of.
    pub commit: Option<String>,
    /// The job that it is part of: an address, or what the scheduler calls it.
    pub job: Option<String>,
}

impl Origin {
    /// Of what the environment and the project's folder say.
    pub fn of(env: &dyn Fn(&str) -> Option<String>, root: &Path) -> Self {
        Self { by: by(env), commit: commit(root), job: job(env) }
    }
}

/// A forge names who pushed; its own login is `runner` or `root`.
fn by(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let names = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "BUILDKITE_BUILD_CREATOR"];
    let logins = ["USER", "LOGNAME", "USERNAME"];
    names.iter().chain(&logins).find_map(|name| plain(env(name)?))
}

fn job(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let github = || {
        let (server, repository) = (env("GITHUB_SERVER_URL")?, env("GITHUB_REPOSITORY")?);
        address(format!("{server}/{repository}/actions/runs/{}", env("GITHUB_RUN_ID")?))
    };
    let given = || {
        let names = ["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"];
        names.iter().find_map(|name| address(env(name)?))
    };
    let airflow = || plain(format!("{}.{}", env("AIRFLOW_CTX_DAG_ID")?, env("AIRFLOW_CTX_TASK_ID")?));
    github().or_else(given).or_else(airflow)
}

/// A text without anything that does not belong into one line.
fn plain(text: String) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

/// An address of the web in which nobody's password stands.
fn address(text: String) -> Option<String> {
    let text = plain(text)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let fits = !host.is_empty()
        && !host.contains('@')
        && !text.contains(|c: char| c.is_whitespace() || "\"'<>".contains(c));
    fits.then_some(text)
}

/// What `HEAD` of the repository around a folder is at.
fn commit(root: &Path) -> Option<String> {
    let git = root.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    let folder = match git.is_dir() {
        true => git,
        // A second worktree and a submodule have a file that says where their folder is.
        false => {
            let text = std::fs::read_to_string(&git).ok()?;
            git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
        }
    };
    let head = std::fs::read_to_string(folder.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref:").map(str::trim) else { return hash(&head) };
    // A name that leads elsewhere is none of git's.
    if !reference.starts_with("refs/") || reference.split('/').any(|part| part == "..") {
        return None;
    }
    let common = std::fs::read_to_string(folder.join("commondir")).ok();
    let common: PathBuf = common.map_or_else(|| folder.clone(), |path| folder.join(path.trim()));
    let loose = std::fs::read_to_string(common.join(reference)).ok();
    loose.and_then(|text| hash(&text)).or_else(|| {
        let packed = std::fs::read_to_string(common.join("packed-refs")).ok()?;
        packed.lines().find_map(|line| match line.split_once(' ') {
            Some((commit, name)) if name == reference => hash(commit),
            _ => None,
        })
    })
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Origin {
        let env = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let nowhere = tempfile::tempdir().unwrap();
        Origin { by: by(&env), commit: commit(nowhere.path()), job: job(&env) }
    }

    #[test]
    fn a_person_a_forge_and_a_scheduler_are_named() {
        let text = |origin: Origin| {
            format!("{} {}", origin.by.unwrap_or("-".into()), origin.job.unwrap_or("-".into()))
        };
        let github = [
            ("USER", "runner"),
            ("GITHUB_ACTOR", "ada"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "shop/pipeline"),
            ("GITHUB_RUN_ID", "42"),
        ];
        let gitlab =
            [("GITLAB_USER_LOGIN", "bob"), ("CI_JOB_URL", "https://gitlab.example.com/shop/-/jobs/7")];
        let airflow =
            [("USER", "airflow"), ("AIRFLOW_CTX_DAG_ID", "nightly"), ("AIRFLOW_CTX_TASK_ID", "kiln")];
        let all = [&[("LOGNAME", "eve")][..], &github, &gitlab, &airflow, &[]];
        let all: Vec<String> = all.into_iter().map(|variables| text(of(variables))).collect();
        insta::assert_snapshot!(all.join("\n"), @r"
        eve -
        ada https://github.com/shop/pipeline/actions/runs/42
        bob https://gitlab.example.com/shop/-/jobs/7
        airflow nightly.kiln
        - -
        ");
    }

    #[test]
    fn what_is_no_name_or_holds_a_password_is_left_out() {
        for job in
            ["https://ci:secret@ci.example.com/1", "javascript:alert(1)", "https://", "https://a/\"onclick=x"]
        {
            assert_eq!(of(&[("BUILD_URL", job)]).job, None, "{job}");
        }
        let long = "x".repeat(400);
        for by in ["", " ", "a\nb", &long] {
            assert_eq!(of(&[("USER", by)]).by, None, "{by}");
        }
    }

    #[test]
    fn a_checkout_says_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = ("1".repeat(40), "a".repeat(40));
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("shop/kiln.yml", "");
        let at = |path: &str| commit(&folder.path().join(path));
        write(".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(at("shop"), None, "nothing was committed yet");
        write(".git/packed-refs", &format!("# pack-refs\n{first} refs/heads/main\n"));
        assert_eq!(at("shop"), Some(first.clone()));
        write(".git/refs/heads/main", &format!("{second}\n"));
        assert_eq!(at("shop"), Some(second.clone()), "a loose one is newer than a packed one");
        write(".git/HEAD", &first);
        assert_eq!(at("shop"), Some(first.clone()));
        // A second worktree of the same repository.
        write("beside/.git", "gitdir: ../.git/worktrees/beside\n");
        write(".git/worktrees/beside/HEAD", "ref: refs/heads/main\n");
        write(".git/worktrees/beside/commondir", "../..\n");
        assert_eq!(at("beside"), Some(second));
        write(".git/HEAD", "ref: refs/../../shop/kiln.yml\n");
        assert_eq!(at("shop"), None);
    }
}
