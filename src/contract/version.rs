//! A semantic version.

use std::cmp::Ordering;
use std::fmt;

/// `major.minor.patch`, with an optional pre-release; build metadata is read and dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// Raised by a breaking change.
    pub major: u64,
    /// Raised by an addition.
    pub minor: u64,
    /// Raised by what no consumer can notice.
    pub patch: u64,
    /// What follows `-`, which sorts before the release.
    pub pre: Option<String>,
}

impl Version {
    /// Reads one; `None` if it is no semantic version.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split('+').next()?;
        let (core, pre) = match text.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (text, None),
        };
        let allowed =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if pre.is_some_and(|pre| !pre.split('.').all(allowed)) {
            return None;
        }
        let numbers = core.split('.').map(number).collect::<Option<Vec<u64>>>()?;
        let [major, minor, patch] = numbers[..] else { return None };
        Some(Self { major, minor, patch, pre: pre.map(str::to_owned) })
    }
}

fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| canonical && text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let core = |v: &Self| (v.major, v.minor, v.patch);
        core(self).cmp(&core(other)).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(two)) => pre_release(one, two),
        })
    }
}

/// Parts that are numbers compare as numbers and come before those that are not.
fn pre_release(one: &str, two: &str) -> Ordering {
    let key = |part: &str| match part.parse::<u64>() {
        Ok(number) => (0, number, String::new()),
        Err(_) => (1, 0, part.to_owned()),
    };
    one.split('.').map(key).cmp(two.split('.').map(key))
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.pre.iter().try_for_each(|pre| write!(f, "-{pre}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let ordered = [
            "0.9.0",
            "1.0.0-alpha",
            "1.0.0-alpha.2",
            "1.0.0-alpha.10",
            "1.0.0-rc",
            "1.0.0",
            "1.2.0",
            "1.10.0",
        ];
        let versions: Vec<Version> = ordered.iter().map(|text| Version::parse(text).expect(text)).collect();
        assert!(versions.is_sorted());
        assert_eq!(versions[3].to_string(), "1.0.0-alpha.10");
        assert_eq!(Version::parse("1.0.0+5").map(|v| v.to_string()), Some("1.0.0".into()));
        for text in ["1", "1.0", "v1.0.0", "1.0.0.0", "1.0.x", "01.0.0", "1.0.0-", "", "1.-1.0", "1.0.+1"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
