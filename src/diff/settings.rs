//! What a project says about its diffs: severities of rules, and who is protected where a contract does not say it.

use std::collections::BTreeMap;

use super::grade::{Bump, Severity};
use super::rule::{Protects, Rule};
use crate::contract::{Compatibility, CompatibilityMode, Version};
use crate::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::yaml::{Fields, Kind, Yaml};

/// `diff:` in `kiln.yml`.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Severities that differ from the usual ones.
    pub severities: BTreeMap<Rule, Severity>,
    /// The mode of contracts that have none of their own.
    pub mode: Compatibility,
}

impl Settings {
    /// Reads `diff:` of a project: `{mode: full, severities: {column-added: warning}}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(written: Option<&Yaml>) -> Result<Self, Diagnostics> {
        let mut settings = Self::default();
        let mut problems = Diagnostics::new();
        let Some(yaml) = written else { return Ok(settings) };
        let mut fields = Fields::new("`diff`", yaml);
        if let Some(mode) = fields.string("mode") {
            match Compatibility::parse(&mode.value) {
                Some(found) => settings.mode = found,
                None => problems.push(
                    Diagnostic::error("wrong-value", format!("`{}` is not a mode", mode.value))
                        .at(&mode.at, "")
                        .suggest(&mode.value, Compatibility::NAMES)
                        .help(format!("the modes are: {}", Compatibility::NAMES.join(", "))),
                ),
            }
        }
        if let Some(severities) = fields.take("severities") {
            match severities.as_map() {
                None => problems.push(severities.wrong_kind("severities", "a mapping of rules")),
                Some(entries) => {
                    for (slug, value) in entries {
                        settings.read_severity(slug, value, &mut problems);
                    }
                }
            }
        }
        problems.extend(fields.finish());
        if problems.has_errors() { Err(problems) } else { Ok(settings) }
    }

    fn read_severity(&mut self, slug: &Located<String>, value: &Yaml, problems: &mut Diagnostics) {
        let slugs = Rule::ALL.iter().map(|rule| rule.slug());
        let Some(rule) = Rule::from_slug(&slug.value) else {
            problems.push(
                Diagnostic::error("unknown-rule", format!("there is no rule `{}`", slug.value))
                    .at(&slug.at, "")
                    .suggest(&slug.value, slugs)
                    .help("`kiln diff --rules` lists them"),
            );
            return;
        };
        let severity = match (&value.kind, value.as_str()) {
            (Kind::Bool(false), _) => Some(Severity::Off),
            (_, Some("warn")) => Some(Severity::Warning),
            (_, Some(word)) => Severity::from_word(word),
            _ => None,
        };
        match severity {
            Some(severity) => {
                self.severities.insert(rule, severity);
            }
            None => problems.push(value.wrong_kind(&slug.value, "`error`, `warning`, `note` or `off`")),
        }
    }

    /// The severity of a rule where a mode holds and nothing else is said.
    pub fn severity(&self, rule: Rule, mode: Compatibility) -> Severity {
        self.severities.get(&rule).copied().unwrap_or_else(|| by_mode(rule, mode.mode))
    }

    /// The mode of a contract, by the word that it writes.
    pub fn mode_of(&self, written: Option<&str>) -> Compatibility {
        written.and_then(Compatibility::parse).unwrap_or(self.mode)
    }
}

/// A mode keeps what its side is protected from loud, and the rest is said.
fn by_mode(rule: Rule, mode: CompatibilityMode) -> Severity {
    let usual = rule.default_severity();
    let history = if usual >= Severity::Warning { Severity::Error } else { usual };
    match (mode, rule.protects()) {
        // Where nobody is protected no version is owed; what is classified stays so.
        (CompatibilityMode::None, Protects::Policy) if rule == Rule::VersionNotBumped => Severity::Note,
        (_, Protects::Policy) => usual,
        (CompatibilityMode::None, _) => usual.min(Severity::Note),
        (CompatibilityMode::Consumer, _) => usual,
        (CompatibilityMode::History, Protects::Consumer) => usual.min(Severity::Note),
        (CompatibilityMode::History | CompatibilityMode::Full, Protects::History) => history,
        (CompatibilityMode::History | CompatibilityMode::Full, _) => usual,
    }
}

/// The first version that makes a step. Before 1.0.0 the second number stands for the first.
pub(super) fn needed(from: &Version, bump: Bump) -> Version {
    let (major, minor, patch) = (from.major, from.minor, from.patch);
    let (major, minor, patch) = match (bump, major) {
        (Bump::Major, 0) => (0, minor + 1, 0),
        (Bump::Major, _) => (major + 1, 0, 0),
        (Bump::Minor, 0) => (0, minor, patch + 1),
        (Bump::Minor, _) => (major, minor + 1, 0),
        (Bump::Patch, _) => (major, minor, patch + 1),
    };
    Version { major, minor, patch, pre: None }
}

/// Whether a version makes the step that is owed. A pre-release of the version does.
pub(super) fn is_enough(from: &Version, to: &Version, bump: Bump) -> bool {
    let needed = needed(from, bump);
    (to.major, to.minor, to.patch) >= (needed.major, needed.minor, needed.patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_mistakes_have_a_place() {
        let read = |text: &str| {
            let file = crate::diagnostic::SourceFile::new("kiln.yml", text);
            let mut problems = Diagnostics::new();
            let yaml = crate::yaml::parse(&file, &mut problems).unwrap();
            Settings::read(Some(&yaml))
        };
        let settings =
            read("mode: full_transitive\nseverities: {column-added: warning, order-changed: off}\n").unwrap();
        assert_eq!(settings.mode.to_string(), "full_transitive");
        assert_eq!(settings.severities[&Rule::ColumnAdded], Severity::Warning);
        assert_eq!(settings.severities[&Rule::OrderChanged], Severity::Off);
        let problems =
            read("mode: consumers\nseverities: {column-gone: error, column-added: loud}\nmodes: 1\n")
                .unwrap_err();
        insta::assert_snapshot!(problems.render(crate::diagnostic::Style::Plain));
    }

    #[test]
    fn steps_of_versions() {
        let version = |text: &str| Version::parse(text).unwrap();
        assert_eq!(needed(&version("2.3.1"), Bump::Major).to_string(), "3.0.0");
        assert_eq!(needed(&version("2.3.1"), Bump::Minor).to_string(), "2.4.0");
        assert_eq!(needed(&version("0.3.1"), Bump::Major).to_string(), "0.4.0");
        assert!(is_enough(&version("2.3.1"), &version("3.0.0-rc.1"), Bump::Major));
        assert!(!is_enough(&version("2.3.1"), &version("2.9.9"), Bump::Major));
    }

    #[test]
    fn each_mode_is_loud_for_its_side() {
        let loud = |rule, mode| by_mode(rule, mode);
        let rules = [Rule::ColumnRemoved, Rule::RequiredTightened, Rule::TypeChanged, Rule::VersionNotBumped];
        let modes = [
            CompatibilityMode::None,
            CompatibilityMode::Consumer,
            CompatibilityMode::History,
            CompatibilityMode::Full,
        ];
        let lines: Vec<String> = rules
            .iter()
            .map(|rule| {
                let words: Vec<&str> = modes.iter().map(|mode| loud(*rule, *mode).as_str()).collect();
                format!("{}: {}", rule.slug(), words.join(" "))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        column-removed: note error note error
        required-tightened: note warning error error
        type-changed: note error error error
        version-not-bumped: note error error error
        ");
    }
}
