//! Place: how high a box stands. Columns keep their order; boxes move towards their neighbours.

use super::{BOX_HEIGHT, GAP_Y};

/// One box and the gap below it.
const STEP: i64 = (BOX_HEIGHT + GAP_Y) as i64;
/// Sweeps.
const ROUNDS: usize = 12;

/// The top edge of each box.
pub(super) fn tops(columns: &[Vec<u32>], ranks: &[u32], edges: &[[u32; 2]]) -> Vec<u32> {
    let mut left = vec![Vec::new(); ranks.len()];
    let mut right = vec![Vec::new(); ranks.len()];
    for [from, to] in edges {
        let (near, far) = if ranks[*from as usize] <= ranks[*to as usize] { (from, to) } else { (to, from) };
        right[*near as usize].push(*far);
        left[*far as usize].push(*near);
    }
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(0) as i64;
    let mut tops = vec![0_i64; ranks.len()];
    for column in columns {
        // Columns begin centred.
        let above = (tallest - column.len() as i64) * STEP / 2;
        for (order, at) in (0..).zip(column) {
            tops[*at as usize] = above + order * STEP;
        }
    }
    for round in 0..ROUNDS {
        let neighbours = if round % 2 == 0 { &left } else { &right };
        let settle = |column: &Vec<u32>, tops: &mut Vec<i64>| {
            let wanted: Vec<i64> =
                column.iter().map(|at| wish(*at, &neighbours[*at as usize], tops)).collect();
            for (at, top) in column.iter().zip(apart(&wanted)) {
                tops[*at as usize] = top;
            }
        };
        match round % 2 {
            0 => columns.iter().for_each(|column| settle(column, &mut tops)),
            _ => columns.iter().rev().for_each(|column| settle(column, &mut tops)),
        }
    }
    let highest = tops.iter().copied().min().unwrap_or(0);
    tops.into_iter().map(|top| (top - highest) as u32).collect()
}

/// Where a box would stand: at the middle of its neighbours.
fn wish(at: u32, neighbours: &[u32], tops: &[i64]) -> i64 {
    let mut near: Vec<i64> = neighbours.iter().map(|next| tops[*next as usize]).collect();
    near.sort_unstable();
    match near.len() {
        0 => tops[at as usize],
        len if len % 2 == 1 => near[len / 2],
        len => (near[len / 2 - 1] + near[len / 2]) / 2,
    }
}

/// Heights as near to the wishes as their order and the room that boxes need allow: boxes that would touch become a
/// block, and a block stands at the mean of its wishes.
fn apart(wanted: &[i64]) -> Vec<i64> {
    struct Block {
        // Of what each of its boxes wants for the first one.
        sum: i64,
        count: i64,
    }
    impl Block {
        fn top(&self) -> i64 {
            self.sum.div_euclid(self.count)
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    for wish in wanted {
        let mut block = Block { sum: *wish, count: 1 };
        while let Some(above) = blocks.last() {
            if above.top() + above.count * STEP <= block.top() {
                break;
            }
            // The wishes of the lower one, seen from the first box of the upper one.
            block = Block {
                sum: above.sum + block.sum - block.count * above.count * STEP,
                count: above.count + block.count,
            };
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks.iter().flat_map(|block| (0..block.count).map(move |order| block.top() + order * STEP)).collect()
}
