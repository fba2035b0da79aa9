//! Masks: what a site must not tell strangers. Secrets are masked in all that Kiln writes; a site leaves the house, so
//! values of the environment and the folder on this machine go too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::template::Env;

/// What stands for a value.
pub const MASK: &str = "•••";
/// Shorter values say nothing, and are in every text.
const SHORTEST: usize = 3;

/// Remembers the values that a project reads from the environment.
#[derive(Debug, Clone, Default)]
pub struct Overheard(Arc<Mutex<BTreeSet<String>>>);

impl Overheard {
    /// An environment that is listened to.
    pub fn listen(&self, env: Env) -> Env {
        let heard = Arc::clone(&self.0);
        Arc::new(move |name| {
            let value = env(name)?;
            if value.trim().len() >= SHORTEST {
                heard.lock().unwrap_or_else(PoisonError::into_inner).insert(value.clone());
            }
            Some(value)
        })
    }

    /// The values, the longest first: one may be a part of another.
    pub fn values(&self) -> Vec<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<String> = heard.iter().cloned().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
    }
}

/// A text without values, where they stand as words of their own: `prod` does not change `products`.
pub fn without(text: &str, values: &[String]) -> String {
    let mut masked = text.to_owned();
    for value in values {
        if masked.contains(value.as_str()) {
            masked = without_one(&masked, value);
        }
    }
    masked
}

fn without_one(text: &str, value: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find(value) {
        let (start, end) = (at + found, at + found + value.len());
        let joins_left = value.starts_with(is_word) && text[..start].ends_with(is_word);
        let joins_right = value.ends_with(is_word) && text[end..].starts_with(is_word);
        masked.push_str(&text[at..start]);
        masked.push_str(if joins_left || joins_right { value } else { MASK });
        at = end;
    }
    masked.push_str(&text[at..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_their_own_are_masked() {
        let heard = Overheard::default();
        let env = heard.listen(Arc::new(|name| Some(name.to_lowercase())));
        for name in ["PROD", "DE", "PROD-EU"] {
            env(name);
        }
        let values = heard.values();
        assert_eq!(values, ["prod-eu", "prod"]);
        let text = "from products where x = 'prod' and y = 'prod-eu' -- prod_x de";
        assert_eq!(without(text, &values), "from products where x = '•••' and y = '•••' -- prod_x de");
    }
}
