//! Words: numbers and counts as people read them, on a terminal, in a report or on a page.

/// `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    match value {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", number(value)),
    }
}

/// `a, b and 3 more`: the first of some, and how many are left.
pub fn listed(items: &[String], most: usize) -> String {
    let shown = items[..items.len().min(most)].join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {} more", number(more as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 7, 999, 1_000, 99_441, 1_234_567].map(number);
        assert_eq!(all, ["0", "7", "999", "1,000", "99,441", "1,234,567"]);
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(counted(0, "row", "rows"), "0 rows");
    }

    #[test]
    fn lists_end() {
        let all = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&all, 3), "a, b, c");
        assert_eq!(listed(&all, 1), "a and 2 more");
        assert_eq!(listed(&[], 1), "");
    }
}
