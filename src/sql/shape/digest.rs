//! Digests: hashes of parts of a plan, free of the order in which a writer put what has none.

use std::fmt;

/// A hash of a part of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(super) fn hash<'d>(kind: &str, parts: impl IntoIterator<Item = &'d Digest>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(kind.len() as u64).to_le_bytes());
    hasher.update(kind.as_bytes());
    for part in parts {
        hasher.update(&part.0);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Digest(digest)
}

/// A comparison, the same from both of its sides.
pub(super) fn compared(comparison: &str, [one, other]: [Digest; 2]) -> Digest {
    let (comparison, sides) = match comparison {
        "COMPARE_GREATERTHAN" => ("COMPARE_LESSTHAN", [other, one]),
        "COMPARE_GREATERTHANOREQUALTO" => ("COMPARE_LESSTHANOREQUALTO", [other, one]),
        "COMPARE_EQUAL" | "COMPARE_NOTEQUAL" | "COMPARE_DISTINCT_FROM" | "COMPARE_NOT_DISTINCT_FROM" => {
            (comparison, [one.min(other), one.max(other)])
        }
        _ => (comparison, [one, other]),
    };
    hash(comparison, &sides)
}

/// Conditions of which all, or any, must hold, in any order.
pub(super) fn together(kind: &str, mut parts: Vec<Digest>) -> Digest {
    parts.sort_unstable();
    parts.dedup();
    match parts.as_slice() {
        [one] => *one,
        parts => hash(kind, parts),
    }
}
