//! Words of the terminal: durations, ages and cells as people read them, beside the numbers and counts of all.

use std::time::Duration;

use crate::manifest::TestSeverity;
use crate::run::event::RowChange;

pub use crate::words::{counted, number};

/// `+1,200 rows`, `+1,200 rows, 35 replaced`.
pub fn change(change: &RowChange) -> String {
    let added = format!("+{}", counted(change.added, "row", "rows"));
    match change.replaced {
        0 => added,
        replaced => format!("{added}, {} replaced", number(replaced)),
    }
}

/// `0.31s`, `12.4s`, `2m 03s`, `1h 02m`.
pub fn duration(value: Duration) -> String {
    let seconds = value.as_secs_f64();
    let whole = seconds.round() as u64;
    if seconds < 9.995 {
        format!("{seconds:.2}s")
    } else if seconds < 59.95 {
        format!("{seconds:.1}s")
    } else if whole < 3600 {
        format!("{}m {:02}s", whole / 60, whole % 60)
    } else {
        format!("{}h {:02}m", whole / 3600, whole % 3600 / 60)
    }
}

/// A long time, in its two largest units: `45s`, `12m`, `3h 20m`, `19d 4h`.
pub fn long(value: Duration) -> String {
    let seconds = value.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m"),
        3_600..86_400 => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// This moment in UTC, as JSON has it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The word for a test's severity.
pub fn severity(severity: TestSeverity) -> &'static str {
    match severity {
        TestSeverity::Error => "error",
        TestSeverity::Warn => "warn",
    }
}

/// `1182`, `NULL`, or the beginning of a long text.
pub fn cell(value: Option<&str>) -> String {
    const WIDEST: usize = 60;
    let Some(text) = value else { return "NULL".into() };
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}...", &clean[..at]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_figures() {
        let all =
            [0.004, 0.31, 9.999, 12.44, 59.97, 123.4, 3720.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(all, ["0.00s", "0.31s", "10.0s", "12.4s", "1m 00s", "2m 03s", "1h 02m"]);
    }

    #[test]
    fn long_times_keep_two_units() {
        let all = [45, 720, 12_000, 1_656_000].map(|s| long(Duration::from_secs(s)));
        assert_eq!(all, ["45s", "12m", "3h 20m", "19d 4h"]);
    }

    #[test]
    fn cells_are_one_line() {
        assert_eq!(cell(None), "NULL");
        assert_eq!(cell(Some("a\n\u{1b}[31mb")), "a  [31mb");
        assert_eq!(cell(Some(&"é".repeat(80))).chars().count(), 63);
    }
}
