//! Reads limits on how much rows may change: `audit:` of a model.

use serde_json::Value;

use super::config::Reader;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Limit, RowLimits};

const KEYS: [&str; 4] = ["max_added_rows", "max_changed_rows", "max_removed_rows", "row_count_change"];

/// Reads `audit:`.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<RowLimits> {
    let said = reader.get("audit")?.clone();
    let Value::Object(entries) = &said.value else {
        reader.wrong_value("audit", "a mapping of limits");
        return None;
    };
    let mut limits =
        RowLimits { changed: None, added: None, removed: None, row_count: None, at: said.at.clone() };
    for (key, value) in entries {
        let limit = limit(value);
        if limit.is_none() && KEYS.contains(&key.as_str()) {
            let message = format!("`{key}` is `{}`, which is no limit", plain(value));
            reader.problem("audit", |said| {
                Diagnostic::error("wrong-value", message)
                    .at(&said.at, "")
                    .help("write a number of rows, or a part of the rows before: `5%`")
            });
        }
        match key.as_str() {
            "max_changed_rows" => limits.changed = limit,
            "max_added_rows" => limits.added = limit,
            "max_removed_rows" => limits.removed = limit,
            "row_count_change" => limits.row_count = limit,
            other => {
                let message = format!("`audit` has no limit `{other}`");
                reader.problem("audit", |said| {
                    Diagnostic::error("unknown-config", message)
                        .at(&said.at, "")
                        .suggest(other, KEYS)
                        .help(format!("the limits are: {}", KEYS.join(", ")))
                });
            }
        }
    }
    Some(limits)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn limit(value: &Value) -> Option<Limit> {
    if let Some(rows) = value.as_u64() {
        return Some(Limit::Rows(rows));
    }
    let text = value.as_str()?.trim();
    match text.strip_suffix('%') {
        Some(number) => {
            let percent: f64 = number.trim().parse().ok()?;
            (percent.is_finite() && percent >= 0.0).then_some(Limit::Percent(percent))
        }
        None => text.parse().ok().map(Limit::Rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rows_or_parts() {
        assert_eq!(limit(&"5%".into()), Some(Limit::Percent(5.0)));
        assert_eq!(limit(&serde_json::json!(3)), Some(Limit::Rows(3)));
        assert_eq!(limit(&"-5%".into()), None);
        assert_eq!(limit(&"some".into()), None);
        assert!(Limit::Percent(5.0).is_passed(6, 100) && !Limit::Percent(5.0).is_passed(5, 100));
        assert!(Limit::Rows(0).is_passed(1, 0) && !Limit::Percent(5.0).is_passed(1, 0));
    }
}
