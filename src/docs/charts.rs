//! Charts: a few numbers over time as small drawings that need no script and no style sheet to be read.

use std::fmt::Write;

use crate::template::html::escaped;

/// Width and height.
const SIZE: (f64, f64) = (240.0, 48.0);
/// Room at the edges, so that dots are whole.
const EDGE: f64 = 4.0;

/// A point: what it is called, and how high it is.
#[derive(Debug, Clone)]
pub struct Point {
    /// Shown when somebody points at it: `release 3: 1,234 rows`.
    pub label: String,
    /// Not below zero.
    pub value: f64,
}

/// A line of points from the oldest to the newest, from zero up. `about` is what a screen reader says of it. Nothing for
/// fewer than two points.
pub fn line(about: &str, points: &[Point]) -> String {
    if points.len() < 2 {
        return String::new();
    }
    let (width, height) = SIZE;
    let highest = points.iter().map(|point| point.value).fold(0.0, f64::max);
    let scale = if highest > 0.0 { (height - 2.0 * EDGE) / highest } else { 0.0 };
    let step = (width - 2.0 * EDGE) / (points.len() - 1) as f64;
    let place = |(at, point): (usize, &Point)| (EDGE + at as f64 * step, height - EDGE - point.value * scale);
    let places: Vec<(f64, f64)> = points.iter().enumerate().map(place).collect();
    let mut path = String::new();
    for (at, (x, y)) in places.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
    }
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
        escaped(about)
    );
    let (first, last) = (EDGE, width - EDGE);
    let _ = write!(
        svg,
        "<path class=\"area\" d=\"{path}L{last:.1} {base:.1}L{first:.1} {base:.1}Z\" fill=\"currentColor\" fill-opacity=\".12\"/>\
         <path class=\"line\" d=\"{path}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>",
        base = height - EDGE
    );
    for (point, (x, y)) in points.iter().zip(&places) {
        let _ = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"currentColor\"><title>{}</title></circle>",
            escaped(&point.label)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_at_zero_and_says_what_it_shows() {
        let point = |label: &str, value| Point { label: label.into(), value };
        let shown = |about, points: &[Point]| line(about, points).replace("><", ">\n<");
        assert_eq!(line("rows", &[point("a", 1.0)]), "");
        insta::assert_snapshot!(shown("rows <1>", &[point("a", 5.0), point("b", 10.0)]), @r#"
        <svg class="chart" viewBox="0 0 240 48" width="240" height="48" role="img" aria-label="rows &lt;1&gt;">
        <path class="area" d="M4.0 24.0L236.0 4.0L236.0 44.0L4.0 44.0Z" fill="currentColor" fill-opacity=".12"/>
        <path class="line" d="M4.0 24.0L236.0 4.0" fill="none" stroke="currentColor" stroke-width="1.5"/>
        <circle cx="4.0" cy="24.0" r="2.5" fill="currentColor">
        <title>a</title>
        </circle>
        <circle cx="236.0" cy="4.0" r="2.5" fill="currentColor">
        <title>b</title>
        </circle>
        </svg>
        "#);
        assert!(!line("rows", &[point("a", 0.0), point("b", 0.0)]).contains("NaN"));
    }
}
