//! Layout: where the boxes of a layered graph stand.
//!
//! Every node belongs to a band; bands stand from left to right and never share a column. In a band a node is right of
//! what it reads. Columns are ordered by sweeps that put a node near its neighbours, the best order by crossings is kept,
//! and heights are moved towards the neighbours without boxes touching. The same graph gives the same drawing.

mod order;
mod place;
mod rank;

/// Width of a box.
pub const BOX_WIDTH: u32 = 200;
/// Height of a box.
pub const BOX_HEIGHT: u32 = 44;
/// Between two columns.
const GAP_X: u32 = 72;
/// Between two bands, besides that.
const GAP_BAND: u32 = 48;
/// Between two boxes of a column.
const GAP_Y: u32 = 16;

/// A graph to lay out: the band of each node, and edges by number. Edges to itself and twice the same are ignored.
#[derive(Debug, Clone, Default)]
pub struct Drawing<'a> {
    /// By node.
    pub bands: &'a [u32],
    /// How many bands there are.
    pub band_count: u32,
    /// From, to.
    pub edges: &'a [[u32; 2]],
}

/// Where a box stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Its column, counted over all bands.
    pub rank: u32,
    /// Its place in the column.
    pub order: u32,
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
}

/// A laid out graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// By node.
    pub places: Vec<Place>,
    /// Left edge and width of each band; an empty one has no width.
    pub bands: Vec<[u32; 2]>,
    /// Width and height of everything.
    pub size: [u32; 2],
}

/// Lays a graph out.
pub fn layout(drawing: &Drawing<'_>) -> Layout {
    let count = drawing.bands.len();
    let mut edges: Vec<[u32; 2]> = drawing.edges.iter().copied().filter(|[from, to]| from != to).collect();
    edges.sort_unstable();
    edges.dedup();
    let ranks = rank::ranks(drawing.bands, drawing.band_count, &edges);
    let columns = order::columns(&ranks, &edges);
    let tops = place::tops(&columns, &ranks, &edges);
    let mut layout = Layout { places: vec![Place::default(); count], ..Layout::default() };
    let lefts = lefts(drawing, &ranks, &mut layout);
    for column in &columns {
        for (order, node) in (0..).zip(column) {
            let at = *node as usize;
            layout.places[at] = Place { rank: ranks[at], order, x: lefts[ranks[at] as usize], y: tops[at] };
        }
    }
    layout.size[1] = tops.iter().map(|top| top + BOX_HEIGHT).max().unwrap_or(0);
    layout
}

/// The left edge of each column; sets the bands and the width.
fn lefts(drawing: &Drawing<'_>, ranks: &[u32], layout: &mut Layout) -> Vec<u32> {
    let count = ranks.iter().max().map_or(0, |last| *last as usize + 1);
    let mut band_of = vec![0; count];
    for (rank, band) in ranks.iter().zip(drawing.bands) {
        band_of[*rank as usize] = *band;
    }
    let mut lefts = Vec::with_capacity(count);
    layout.bands = vec![[0, 0]; drawing.band_count as usize];
    let mut x = 0;
    for (rank, band) in band_of.iter().enumerate() {
        if rank > 0 {
            x += GAP_X + if band_of[rank - 1] == *band { 0 } else { GAP_BAND };
        }
        let place = &mut layout.bands[*band as usize];
        if place[1] == 0 {
            place[0] = x;
        }
        place[1] = x + BOX_WIDTH - place[0];
        lefts.push(x);
        x += BOX_WIDTH;
    }
    layout.size[0] = x;
    lefts
}

#[cfg(test)]
mod tests;
