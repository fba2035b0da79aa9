//! What a unit test finds: the rows that were expected beside those that came, cell by cell. Pure.

/// A cell as text; `None` is NULL.
pub type Cell = Option<String>;

/// Most rows of each side that are paired with each other; more are told as missing and extra.
const PAIRED: usize = 200;

/// How two tables differ, the order of their rows aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The columns that were compared.
    pub columns: Vec<String>,
    /// The rows that differ.
    pub lines: Vec<Line>,
    /// Rows that are as expected.
    pub same: usize,
    /// Rows expected.
    pub expected: usize,
    /// Rows that came.
    pub actual: usize,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A row that is there with other values: expected and actual of each column.
    Changed(Vec<(Cell, Cell)>),
    /// A row that did not come.
    Missing(Vec<Cell>),
    /// A row that was not expected.
    Extra(Vec<Cell>),
}

/// Compares rows as multisets; `None` if they are the same.
pub fn compare(columns: Vec<String>, expected: Vec<Vec<Cell>>, actual: Vec<Vec<Cell>>) -> Option<Difference> {
    let (count, came) = (expected.len(), actual.len());
    let mut left: std::collections::HashMap<&[Cell], usize> = std::collections::HashMap::new();
    for row in &actual {
        *left.entry(row.as_slice()).or_default() += 1;
    }
    let mut taken: std::collections::HashMap<&[Cell], usize> = std::collections::HashMap::new();
    let mut missing: Vec<&Vec<Cell>> = Vec::new();
    for row in &expected {
        match left.get_mut(row.as_slice()).filter(|count| **count > 0) {
            Some(count) => {
                *count -= 1;
                *taken.entry(row.as_slice()).or_default() += 1;
            }
            None => missing.push(row),
        }
    }
    let mut extra: Vec<&Vec<Cell>> = Vec::new();
    for row in &actual {
        match taken.get_mut(row.as_slice()).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => extra.push(row),
        }
    }
    if missing.is_empty() && extra.is_empty() {
        return None;
    }
    // The order of what comes is nobody's promise: sorted, the message is the same each time.
    extra.sort();
    let same = count - missing.len();
    let lines = paired(&missing, extra);
    Some(Difference { columns, lines, same, expected: count, actual: came })
}

/// Rows that miss and rows that are too many, those that are nearest to each other as one changed row.
fn paired(missing: &[&Vec<Cell>], extra: Vec<&Vec<Cell>>) -> Vec<Line> {
    let mut partner: Vec<Option<usize>> = vec![None; missing.len()];
    let mut free = vec![true; extra.len()];
    if missing.len() <= PAIRED && extra.len() <= PAIRED {
        let alike = |one: &[Cell], other: &[Cell]| one.iter().zip(other).filter(|(a, b)| a == b).count();
        let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
        for (at, row) in missing.iter().enumerate() {
            for (other, found) in extra.iter().enumerate() {
                pairs.push((alike(row, found), at, other));
            }
        }
        // Most cells in common first; a row of one column has none in common and is paired in order.
        pairs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let alone = missing.len() == 1 && extra.len() == 1;
        for (common, at, other) in pairs {
            if (common > 0 || alone) && partner[at].is_none() && free[other] {
                partner[at] = Some(other);
                free[other] = false;
            }
        }
    }
    let mut lines = Vec::new();
    for (row, partner) in missing.iter().zip(&partner) {
        lines.push(match partner {
            Some(other) => Line::Changed(row.iter().cloned().zip(extra[*other].iter().cloned()).collect()),
            None => Line::Missing((*row).clone()),
        });
    }
    let rest = extra.iter().zip(&free).filter(|(_, free)| **free);
    lines.extend(rest.map(|(row, _)| Line::Extra((*row).clone())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<Cell>> {
        let cell = |text: &str| (text != "NULL").then(|| text.to_owned());
        text.lines().map(|line| line.split('|').map(cell).collect()).collect()
    }

    fn compared(expected: &str, actual: &str) -> Option<Difference> {
        compare(vec!["a".into(), "b".into()], rows(expected), rows(actual))
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_their_number_does() {
        assert_eq!(compared("1|x\n2|y\n1|x", "1|x\n1|x\n2|y"), None);
        let found = compared("1|x\n1|x", "1|x").expect("a difference");
        assert_eq!((found.same, found.expected, found.actual), (1, 2, 1));
        assert_eq!(found.lines, [Line::Missing(rows("1|x").remove(0))]);
    }

    #[test]
    fn rows_are_paired_with_the_nearest() {
        let found = compared("1|x\n2|y\n3|z", "3|NULL\n2|y\n9|q").expect("a difference");
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(
            found.lines,
            [
                Line::Missing(vec![cell("1"), cell("x")]),
                Line::Changed(vec![(cell("3"), cell("3")), (cell("z"), None)]),
                Line::Extra(vec![cell("9"), cell("q")]),
            ]
        );
    }
}
