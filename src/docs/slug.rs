//! Slugs: file names for pages, safe on every file system whatever a model is called.

use std::collections::HashMap;

/// Longest name of a file without its ending.
const LONGEST: usize = 80;

/// Gives names their files. Two names never get the same one, not even on a file system that ignores case.
#[derive(Debug, Default)]
pub struct Slugs {
    taken: HashMap<String, String>,
}

impl Slugs {
    /// The file name, without its ending, for something with an id and a name. The same for the same id whatever else
    /// there is, except where two ids would clash: the second then gets a hash too.
    pub fn of(&mut self, id: &str, name: &str) -> String {
        let plain = plain(name);
        let hashed = || {
            let hash = blake3::hash(id.as_bytes()).to_hex();
            let stem: String = plain.chars().take(LONGEST - 9).collect();
            match stem.is_empty() {
                true => format!("x-{}", &hash[..8]),
                false => format!("{stem}-{}", &hash[..8]),
            }
        };
        let slug = if is_safe(name) && !self.taken.contains_key(name) { name.to_owned() } else { hashed() };
        self.taken.insert(slug.to_lowercase(), id.to_owned());
        slug
    }
}

/// Only lower-case letters, digits, `_`, `-` and inner dots: what is left may be empty.
fn plain(name: &str) -> String {
    let kept =
        |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(kept).collect();
    text.trim_start_matches('_').split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Whether a name can be a file's as it stands: no capital letter, which some file systems ignore, no name that
/// Windows keeps for itself, and no underscore in front, which some hosts do not serve.
fn is_safe(name: &str) -> bool {
    const RESERVED: [&str; 7] = ["con", "prn", "aux", "nul", "com", "lpt", "index"];
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    !name.is_empty()
        && name.len() <= LONGEST
        && name.chars().all(letters)
        && !name.starts_with(['.', '-', '_'])
        && !name.ends_with('.')
        && !name.contains("..")
        && !RESERVED.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_kept_and_others_get_a_hash() {
        let mut slugs = Slugs::default();
        let mut of = |name: &str| slugs.of(&format!("model.shop.{name}"), name);
        let long = "x".repeat(200);
        let names = [
            "orders",
            "Orders",
            "ORDERS",
            "shop_api.orders",
            "index",
            "../../etc/passwd",
            "<script>",
            "con",
            "com1.x",
            "عربى",
            "🦀",
            ".hidden",
            "a..b",
            "-x",
            &long,
            "",
        ];
        let text: Vec<String> = names.iter().map(|name| of(name)).collect();
        let unique: std::collections::HashSet<String> = text.iter().map(|slug| slug.to_lowercase()).collect();
        assert_eq!(unique.len(), names.len());
        assert!(text.iter().all(|slug| slug.len() <= LONGEST));
        insta::assert_snapshot!(text[..14].join("\n"), @"
        orders
        orders-14841620
        orders-e659469e
        shop_api.orders
        index-dea9c154
        etc-passwd-027d0dca
        script-fa359c8a
        con-254dd79c
        com1-x-4c51b515
        x-6a718f87
        x-0a9df88b
        hidden-be2a1bd4
        a-b-7d285a19
        x-bf05d237
        ");
    }

    #[test]
    fn a_name_that_looks_like_the_hash_of_another_clashes_with_nothing() {
        let mut slugs = Slugs::default();
        let hashed = slugs.of("model.shop.A", "A");
        let other = slugs.of("model.shop.other", &hashed);
        assert_ne!(hashed, other);
    }
}
