//! Ranks: the column of each node.

/// The column of each node, counted over all bands without gaps. In a band a node is right of what it reads there;
/// edges that go round in a circle are ignored where the circle closes.
pub(super) fn ranks(bands: &[u32], band_count: u32, edges: &[[u32; 2]]) -> Vec<u32> {
    let count = bands.len();
    let mut children = vec![Vec::new(); count];
    let mut parents = vec![Vec::new(); count];
    for [from, to] in edges.iter().filter(|[from, to]| bands[*from as usize] == bands[*to as usize]) {
        children[*from as usize].push(*to);
        parents[*to as usize].push(*from);
    }
    let order = topological(&children);
    let mut position = vec![0; count];
    for (at, node) in order.iter().enumerate() {
        position[*node as usize] = at;
    }
    let forward = |from: u32, to: u32| position[from as usize] < position[to as usize];
    let mut local = vec![0_u32; count];
    for node in &order {
        let at = *node as usize;
        local[at] = parents[at]
            .iter()
            .filter(|parent| forward(**parent, *node))
            .map(|parent| local[*parent as usize] + 1)
            .max()
            .unwrap_or(0);
    }
    // What reads little and is read by much stands beside its readers: its edges get shorter.
    for node in order.iter().rev() {
        let at = *node as usize;
        let reads = parents[at].iter().filter(|parent| forward(**parent, *node)).count();
        let nearest = children[at]
            .iter()
            .filter(|child| forward(*node, **child))
            .map(|child| local[*child as usize] - 1)
            .min();
        if let Some(nearest) = nearest.filter(|nearest| *nearest > local[at]) {
            let read = children[at].iter().filter(|child| forward(*node, **child)).count();
            if read > reads {
                local[at] = nearest;
            }
        }
    }
    squeeze(bands, band_count, &local)
}

/// Numbers the columns that hold something, band after band.
fn squeeze(bands: &[u32], band_count: u32, local: &[u32]) -> Vec<u32> {
    let mut used: Vec<std::collections::BTreeSet<u32>> = vec![Default::default(); band_count as usize];
    for (band, rank) in bands.iter().zip(local) {
        used[*band as usize].insert(*rank);
    }
    let mut numbers = std::collections::HashMap::new();
    let mut next = 0;
    for (band, ranks) in (0_u32..).zip(&used) {
        for rank in ranks {
            numbers.insert((band, *rank), next);
            next += 1;
        }
    }
    bands.iter().zip(local).map(|(band, rank)| numbers[&(*band, *rank)]).collect()
}

/// Every node after what it reads, as far as there is no circle.
fn topological(children: &[Vec<u32>]) -> Vec<u32> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let mut seen = vec![Seen::No; children.len()];
    let mut order = Vec::with_capacity(children.len());
    // From the last to the first, so that after turning round the first comes first.
    for start in (0..children.len() as u32).rev() {
        let mut work = vec![(start, 0)];
        while let Some((node, next)) = work.pop() {
            if next == 0 {
                if seen[node as usize] != Seen::No {
                    continue;
                }
                seen[node as usize] = Seen::Open;
            }
            match children[node as usize].get(next) {
                Some(child) => {
                    work.push((node, next + 1));
                    if seen[*child as usize] == Seen::No {
                        work.push((*child, 0));
                    }
                }
                None => {
                    seen[node as usize] = Seen::Done;
                    order.push(node);
                }
            }
        }
    }
    order.reverse();
    order
}
