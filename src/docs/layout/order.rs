//! Order: who stands above whom in a column, for few crossings.
//!
//! An edge that passes columns holds a place in each of them, so that it is counted and led around boxes.

/// Rounds of sweeps at most.
const ROUNDS: usize = 24;
/// Places of passing edges at most: beyond, the longest edges are not counted.
const PASSING: usize = 400_000;

/// The nodes of each column, from the top.
pub(super) fn columns(ranks: &[u32], edges: &[[u32; 2]]) -> Vec<Vec<u32>> {
    let mut graph = Layered::new(ranks, edges);
    graph.sweep();
    let nodes = ranks.len() as u32;
    graph.columns.iter().map(|column| column.iter().copied().filter(|at| *at < nodes).collect()).collect()
}

/// A graph whose edges join neighbouring columns only.
struct Layered {
    /// By column; numbers beyond the nodes are passing edges.
    columns: Vec<Vec<u32>>,
    /// By place.
    left: Vec<Vec<u32>>,
    right: Vec<Vec<u32>>,
    /// Where a place stands in its column.
    position: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

impl Layered {
    fn new(ranks: &[u32], edges: &[[u32; 2]]) -> Self {
        let width = ranks.iter().max().map_or(0, |last| *last as usize + 1);
        let mut graph = Self {
            columns: vec![Vec::new(); width],
            left: vec![Vec::new(); ranks.len()],
            right: vec![Vec::new(); ranks.len()],
            position: Vec::new(),
        };
        let mut by_length: Vec<(u32, u32, u32)> = edges
            .iter()
            .map(|[from, to]| {
                let ends = [(ranks[*from as usize], *from), (ranks[*to as usize], *to)];
                let (near, far) = if ends[0] <= ends[1] { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
                (far.0 - near.0, near.1, far.1)
            })
            .filter(|(length, ..)| *length > 0)
            .collect();
        by_length.sort_unstable();
        let mut passing = 0;
        let mut ways = Vec::new();
        for (length, near, far) in by_length {
            passing += length as usize - 1;
            if passing > PASSING {
                break;
            }
            ways.push((near, far, length));
        }
        ways.sort_unstable();
        let mut rank_of: Vec<u32> = ranks.to_vec();
        for (near, far, length) in ways {
            let mut at = near;
            for step in 1..length {
                let place = graph.left.len() as u32;
                graph.left.push(Vec::new());
                graph.right.push(Vec::new());
                rank_of.push(ranks[near as usize] + step);
                graph.join(at, place);
                at = place;
            }
            graph.join(at, far);
        }
        graph.position = vec![0; graph.left.len()];
        graph.begin(&rank_of);
        graph
    }

    fn join(&mut self, left: u32, right: u32) {
        self.right[left as usize].push(right);
        self.left[right as usize].push(left);
    }

    /// The first order: each part of the graph in one piece, depth first from the left.
    fn begin(&mut self, ranks: &[u32]) {
        let mut seen = vec![false; ranks.len()];
        let mut starts: Vec<u32> = (0..ranks.len() as u32).collect();
        starts.sort_by_key(|at| (ranks[*at as usize], *at));
        for start in starts {
            let mut work = vec![start];
            while let Some(at) = work.pop() {
                if std::mem::replace(&mut seen[at as usize], true) {
                    continue;
                }
                self.columns[ranks[at as usize] as usize].push(at);
                work.extend(self.left[at as usize].iter().rev());
                work.extend(self.right[at as usize].iter().rev());
            }
        }
        (0..self.columns.len()).for_each(|column| self.number(column));
    }

    fn number(&mut self, column: usize) {
        for (order, at) in (0..).zip(&self.columns[column]) {
            self.position[*at as usize] = order;
        }
    }

    /// Sweeps to the right and back until it does not get better, and keeps the best.
    fn sweep(&mut self) {
        let mut best = (self.crossings(), self.columns.clone());
        let mut idle = 0;
        for round in 0..ROUNDS {
            if best.0 == 0 || idle >= 4 {
                break;
            }
            let last = self.columns.len();
            match round % 2 {
                0 => (1..last).for_each(|column| self.arrange(column, Side::Left)),
                _ => (0..last.saturating_sub(1)).rev().for_each(|column| self.arrange(column, Side::Right)),
            }
            self.exchange();
            let crossings = self.crossings();
            match crossings < best.0 {
                true => {
                    best = (crossings, self.columns.clone());
                    idle = 0;
                }
                false => idle += 1,
            }
        }
        self.columns = best.1;
        (0..self.columns.len()).for_each(|column| self.number(column));
    }

    /// Orders a column by the middle of the neighbours on one side. What has none there stays where it is.
    fn arrange(&mut self, column: usize, side: Side) {
        let neighbours = if side == Side::Left { &self.left } else { &self.right };
        let mut fixed = Vec::new();
        let mut moving = Vec::new();
        for (order, at) in self.columns[column].iter().enumerate() {
            let near = &neighbours[*at as usize];
            match near.is_empty() {
                true => fixed.push((order, *at)),
                false => {
                    let sum: u64 = near.iter().map(|next| u64::from(self.position[*next as usize])).sum();
                    moving.push((sum as f64 / near.len() as f64, *at));
                }
            }
        }
        // A stable sort: equals keep their order, which is what makes the result the same each time.
        moving.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut moving = moving.into_iter().map(|(_, at)| at);
        let mut arranged = Vec::with_capacity(self.columns[column].len());
        let mut fixed = fixed.into_iter().peekable();
        for order in 0..self.columns[column].len() {
            match fixed.next_if(|(place, _)| *place == order) {
                Some((_, at)) => arranged.push(at),
                None => arranged.extend(moving.next()),
            }
        }
        self.columns[column] = arranged;
        self.number(column);
    }

    /// Changes two that stand beside each other where that takes crossings away.
    fn exchange(&mut self) {
        for column in 0..self.columns.len() {
            for _ in 0..4 {
                let mut better = false;
                for order in 1..self.columns[column].len() {
                    let (upper, lower) = (self.columns[column][order - 1], self.columns[column][order]);
                    if self.gain(upper, lower) > 0 {
                        self.columns[column].swap(order - 1, order);
                        self.position.swap(upper as usize, lower as usize);
                        better = true;
                    }
                }
                if !better {
                    break;
                }
            }
        }
    }

    /// How many crossings go if two neighbours of a column change places.
    fn gain(&self, upper: u32, lower: u32) -> i64 {
        let mut gain = 0;
        for side in [&self.left, &self.right] {
            let (above, below) = (&side[upper as usize], &side[lower as usize]);
            // Hubs are not worth comparing pair by pair.
            if above.len() * below.len() > 400 {
                continue;
            }
            for one in above {
                for other in below {
                    let (one, other) = (self.position[*one as usize], self.position[*other as usize]);
                    gain += i64::from(one > other) - i64::from(one < other);
                }
            }
        }
        gain
    }

    /// How many pairs of edges cross.
    fn crossings(&self) -> u64 {
        (1..self.columns.len()).map(|column| self.crossings_before(column)).sum()
    }

    /// Crossings between a column and the one left of it: inversions, counted with a tree of sums.
    fn crossings_before(&self, column: usize) -> u64 {
        let size = self.columns[column - 1].len();
        let mut tree = vec![0_u32; size + 1];
        let mut total = 0_u64;
        let mut entered = 0_u64;
        let mut ends = Vec::new();
        for at in &self.columns[column] {
            ends.clear();
            ends.extend(self.left[*at as usize].iter().map(|next| self.position[*next as usize] as usize));
            for end in &ends {
                // Those before it that end at most there do not cross it.
                let (mut node, mut under) = (end + 1, 0_u64);
                while node > 0 {
                    under += u64::from(tree[node]);
                    node &= node - 1;
                }
                total += entered - under;
            }
            for end in &ends {
                let mut node = end + 1;
                while node <= size {
                    tree[node] += 1;
                    node += node & node.wrapping_neg();
                }
            }
            entered += ends.len() as u64;
        }
        total
    }
}
