//! Intervals: time cut into hours, days, months or years, and which of them a model has to build.
//!
//! All of it is UTC. Moments are texts as DuckDB writes a TIMESTAMP, so that they compare as they stand.

use jiff::civil::DateTime;

use crate::manifest::{Grain, Interval};
use crate::template::Window;

/// How DuckDB writes a TIMESTAMP without a fraction.
const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// Most intervals of one run: a `begin` far away and a small `batch_size` are a slip of the pen.
const MOST: usize = 100_000;

/// The intervals of a model's version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intervals {
    /// Those that this version builds, one by one.
    pub built: Vec<Window>,
    /// All that the table holds with them, as few windows as there can be.
    pub covered: Vec<Window>,
    /// The version that they come to.
    pub base: Option<String>,
}

/// A time of now, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime(FORMAT).to_string()
}

/// A time a day from now.
pub fn tomorrow() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).strftime(FORMAT).to_string()
}

fn parse(moment: &str) -> Option<DateTime> {
    crate::manifest::moment(moment)?.parse().ok()
}

fn write(moment: DateTime) -> String {
    moment.strftime(FORMAT).to_string()
}

/// The start of the interval that holds a moment.
fn start(grain: Grain, moment: DateTime) -> DateTime {
    let date = moment.date();
    let date = match grain {
        Grain::Hour => return date.at(moment.hour(), 0, 0, 0),
        Grain::Day => date,
        Grain::Month => date.first_of_month(),
        Grain::Year => date.first_of_year(),
    };
    date.at(0, 0, 0, 0)
}

/// So many intervals on; back for a negative number. The end of time where there is no later moment.
fn step(grain: Grain, moment: DateTime, count: i64) -> DateTime {
    let none = jiff::Span::new();
    let span = match grain {
        Grain::Hour => none.try_hours(count),
        Grain::Day => none.try_days(count),
        Grain::Month => none.try_months(count),
        Grain::Year => none.try_years(count),
    };
    match span {
        Ok(span) => moment.saturating_add(span),
        // More than all of time.
        Err(_) if count < 0 => DateTime::MIN,
        Err(_) => DateTime::MAX,
    }
}

/// The beginning of the interval that holds a moment.
pub fn start_of(grain: Grain, moment: &str) -> Option<String> {
    Some(write(start(grain, parse(moment)?)))
}

/// A moment as a person writes it, as one word: a day where it is the beginning of one.
pub fn shown(moment: &str) -> String {
    moment.strip_suffix(" 00:00:00").map_or_else(|| moment.replace(' ', "T"), str::to_owned)
}

/// The end of the interval that holds a moment.
pub fn end_of(grain: Grain, moment: &str) -> Option<String> {
    Some(write(step(grain, start(grain, parse(moment)?), 1)))
}

/// The intervals that a window touches; none where they are more than anybody means.
pub fn cut(grain: Grain, window: &Window) -> Option<Vec<Window>> {
    let (mut at, end) = (start(grain, parse(&window.start)?), parse(&window.end)?);
    let mut intervals = Vec::new();
    while at < end {
        let next = step(grain, at, 1);
        intervals.push(Window { start: write(at), end: write(next) });
        if intervals.len() > MOST || next <= at {
            return None;
        }
        at = next;
    }
    Some(intervals)
}

/// Windows joined where they touch or overlap.
pub fn joined(windows: impl IntoIterator<Item = Window>) -> Vec<Window> {
    let mut sorted: Vec<Window> = windows.into_iter().filter(|window| window.start < window.end).collect();
    sorted.sort();
    let mut all: Vec<Window> = Vec::new();
    for window in sorted {
        match all.last_mut().filter(|last| window.start <= last.end) {
            Some(last) => {
                if window.end > last.end {
                    last.end = window.end;
                }
            }
            None => all.push(window),
        }
    }
    all
}

/// The first interval of a model.
pub fn first(config: &Interval) -> Window {
    let end = end_of(config.grain, &config.begin).unwrap_or_else(|| config.begin.clone());
    let first = cut(config.grain, &Window { start: config.begin.clone(), end: end.clone() });
    first
        .and_then(|all| all.into_iter().next())
        .unwrap_or_else(|| Window { start: config.begin.clone(), end })
}

/// What is left of a window without some intervals of it.
pub fn without(window: &Window, intervals: &[Window]) -> Vec<Window> {
    let mut left = Vec::new();
    let mut at = window.start.clone();
    for gone in joined(intervals.iter().cloned()) {
        if gone.end <= at || gone.start >= window.end {
            continue;
        }
        if gone.start > at {
            left.push(Window { start: at, end: gone.start });
        }
        at = gone.end;
    }
    if at < window.end {
        left.push(Window { start: at, end: window.end.clone() });
    }
    left
}

/// Whether an interval lies in one of some joined windows.
pub fn is_in(interval: &Window, windows: &[Window]) -> bool {
    windows.iter().any(|window| window.start <= interval.start && interval.end <= window.end)
}

/// Whether an interval and one of some windows have a moment in common.
fn touches(interval: &Window, windows: &[Window]) -> bool {
    windows.iter().any(|window| window.start < interval.end && interval.start < window.end)
}

/// Where new rows of a model's parents can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Anywhere.
    Anywhere,
    /// Where the parents say.
    Told,
}

/// What a model with rows has to build: what is missing up to the end of `until`, and what of its parents was built
/// again. Where new rows can lie anywhere, also the newest interval that is there, which may not have been whole, and
/// `lookback` before the newest of all.
pub fn due(
    config: &Interval,
    covered: &[Window],
    until: &str,
    parents: &[Window],
    news: News,
) -> Option<Vec<Window>> {
    let grain = config.grain;
    let until =
        covered.last().map_or(until, |last| if last.end.as_str() > until { &last.end } else { until });
    let all = cut(grain, &Window { start: begin(config, covered), end: until.to_owned() })?;
    let lookback = i64::try_from(config.lookback).unwrap_or(i64::MAX).saturating_add(1);
    let from = parse(until).map(|until| write(step(grain, until, -lookback))).unwrap_or_default();
    let newest = covered.last().and_then(|last| parse(&last.end)).map(|end| write(step(grain, end, -1)));
    let may_be_new =
        |interval: &Window| interval.start >= from || newest.as_deref() == Some(interval.start.as_str());
    let is_due = |interval: &Window| {
        !is_in(interval, covered)
            || touches(interval, parents)
            || (news == News::Anywhere && may_be_new(interval))
    };
    Some(all.into_iter().filter(is_due).collect())
}

/// Where a table begins: at `begin`, or where its first run was told to begin with `--from`.
fn begin(config: &Interval, covered: &[Window]) -> String {
    covered.first().map_or(&config.begin, |first| &first.start).clone()
}

/// What is missing of what the table should hold up to its own newest interval.
pub fn holes(config: &Interval, covered: &[Window]) -> Option<Vec<Window>> {
    let Some(last) = covered.last() else { return Some(Vec::new()) };
    let all = cut(config.grain, &Window { start: begin(config, covered), end: last.end.clone() })?;
    Some(all.into_iter().filter(|interval| !is_in(interval, covered)).collect())
}

/// `3 days from 2026-01-01 to 2026-01-04`.
pub fn told(grain: Grain, intervals: &[Window]) -> String {
    let day = |moment: &str| moment.strip_suffix(" 00:00:00").unwrap_or(moment).to_owned();
    let count = match intervals.len() {
        1 => format!("1 {}", grain.as_str()),
        many => format!("{many} {}s", grain.as_str()),
    };
    let windows = joined(intervals.iter().cloned());
    match (windows.first(), windows.last()) {
        (Some(first), Some(_)) if windows.len() == 1 => {
            format!("{count} from {} to {}", day(&first.start), day(&first.end))
        }
        (Some(first), Some(last)) => format!("{count} between {} and {}", day(&first.start), day(&last.end)),
        _ => "no interval".to_owned(),
    }
}

/// Windows as the state keeps them: `start/end`, separated by commas.
pub fn to_text(windows: &[Window]) -> String {
    let each: Vec<String> = windows.iter().map(|window| format!("{}/{}", window.start, window.end)).collect();
    each.join(",")
}

/// Reads windows back.
pub fn from_text(text: &str) -> Vec<Window> {
    let window = |part: &str| {
        let (start, end) = part.split_once('/')?;
        Some(Window { start: start.to_owned(), end: end.to_owned() })
    };
    text.split(',').filter_map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, end: &str) -> Window {
        let moment = |text: &str| crate::manifest::moment(text).expect("a moment");
        Window { start: moment(start), end: moment(end) }
    }

    fn days(lookback: u64) -> Interval {
        Interval { event_time: "at".into(), grain: Grain::Day, begin: "2026-01-01 00:00:00".into(), lookback }
    }

    #[test]
    fn time_is_cut_where_intervals_begin() {
        let count = |grain, from, to| cut(grain, &window(from, to)).map(|all| all.len());
        assert_eq!(count(Grain::Hour, "2026-01-01T05:30", "2026-01-01T07:10"), Some(3));
        assert_eq!(count(Grain::Day, "2026-02-27", "2026-03-02"), Some(3));
        assert_eq!(count(Grain::Month, "2026-01-31", "2026-03-01"), Some(2));
        assert_eq!(count(Grain::Year, "2024-02-29", "2026-01-01"), Some(2));
        assert_eq!(count(Grain::Day, "2026-01-02", "2026-01-01"), Some(0));
        assert_eq!(count(Grain::Hour, "1900-01-01", "2026-01-01"), None);
        assert_eq!(end_of(Grain::Month, "2026-12-31 23:00:00").as_deref(), Some("2027-01-01 00:00:00"));
    }

    #[test]
    fn what_is_due() {
        let covered = [window("2026-01-01", "2026-01-05")];
        let due = |lookback, until: &str, parents: &[Window]| {
            let until = crate::manifest::moment(until).expect("a moment");
            told(Grain::Day, &due(&days(lookback), &covered, &until, parents, News::Anywhere).expect("few"))
        };
        insta::assert_snapshot!(due(0, "2026-01-05", &[]), @"1 day from 2026-01-04 to 2026-01-05");
        insta::assert_snapshot!(due(0, "2026-01-07", &[]), @"3 days from 2026-01-04 to 2026-01-07");
        insta::assert_snapshot!(due(2, "2026-01-05", &[]), @"3 days from 2026-01-02 to 2026-01-05");
        insta::assert_snapshot!(due(0, "2026-01-05", &[window("2026-01-02", "2026-01-03")]), @"2 days between 2026-01-02 and 2026-01-05");
        let told_by_parents = super::due(&days(3), &covered, "2026-01-05 00:00:00", &[], News::Told);
        assert_eq!(told_by_parents, Some(Vec::new()), "nothing looks back where the parents tell");
        let holed = [window("2026-01-01", "2026-01-03"), window("2026-01-04", "2026-01-05")];
        assert_eq!(holes(&days(0), &holed), Some(vec![window("2026-01-03", "2026-01-04")]));
        assert_eq!(holes(&days(0), &covered), Some(Vec::new()));
    }

    #[test]
    fn windows_are_joined_and_read_back() {
        let windows = [
            window("2026-01-02", "2026-01-03"),
            window("2026-01-01", "2026-01-02"),
            window("2026-01-05", "2026-01-06"),
        ];
        let all = joined(windows);
        assert_eq!(all, [window("2026-01-01", "2026-01-03"), window("2026-01-05", "2026-01-06")]);
        assert_eq!(from_text(&to_text(&all)), all);
        assert_eq!(from_text(""), []);
    }
}
