//! Layouts of drawn up and of random graphs.

use proptest::prelude::*;

use super::*;

/// A graph with edges that mostly go forward.
fn graphs() -> impl Strategy<Value = (Vec<u32>, Vec<[u32; 2]>)> {
    (1_usize..60).prop_flat_map(|count| {
        let bands = proptest::collection::vec(0_u32..5, count);
        let end = 0..count as u32;
        let edges = proptest::collection::vec([end.clone(), end], 0..count * 2);
        (bands, edges)
    })
}

proptest! {
    #[test]
    fn boxes_never_overlap_and_bands_hold((bands, edges) in graphs()) {
        let drawing = Drawing { bands: &bands, band_count: 5, edges: &edges };
        let layout = layout(&drawing);
        prop_assert_eq!(&super::layout(&drawing), &layout);
        for (one, band) in layout.places.iter().zip(&bands) {
            let [left, width] = layout.bands[*band as usize];
            prop_assert!(one.x >= left && one.x + BOX_WIDTH <= left + width);
            prop_assert!(one.x + BOX_WIDTH <= layout.size[0] && one.y + BOX_HEIGHT <= layout.size[1]);
        }
        for (at, one) in layout.places.iter().enumerate() {
            for other in &layout.places[..at] {
                let apart = one.x.abs_diff(other.x) >= BOX_WIDTH || one.y.abs_diff(other.y) >= BOX_HEIGHT;
                prop_assert!(apart, "{:?} {:?}", one, other);
            }
        }
        for (one, two) in (0..5).flat_map(|a| (a + 1..5).map(move |b| (a, b))) {
            let (one, two) = (layout.bands[one], layout.bands[two]);
            prop_assert!(one[1] == 0 || two[1] == 0 || one[0] + one[1] <= two[0]);
        }
    }

    #[test]
    fn what_is_read_stands_left((bands, edges) in graphs()) {
        // Without circles: edges lead to higher numbers.
        let edges: Vec<[u32; 2]> = edges.into_iter().filter(|[from, to]| from < to).collect();
        let layout = layout(&Drawing { bands: &bands, band_count: 5, edges: &edges });
        for [from, to] in edges {
            let (from, to) = (from as usize, to as usize);
            if bands[from] <= bands[to] {
                prop_assert!(layout.places[from].rank < layout.places[to].rank);
            }
        }
    }
}

#[test]
fn a_crossing_that_need_not_be_is_taken_out() {
    // 0 → 3, 1 → 2: the second column turns round.
    let layout = layout(&Drawing { bands: &[0, 0, 1, 1], band_count: 2, edges: &[[0, 3], [1, 2]] });
    assert_eq!(layout.places.iter().map(|place| place.order).collect::<Vec<_>>(), [0, 1, 1, 0]);
    assert_eq!(layout.places[0].y, layout.places[3].y);
    assert_eq!(layout.places[1].y, layout.places[2].y);
}

#[test]
fn nothing_and_one_are_graphs_too() {
    assert_eq!(layout(&Drawing { bands: &[], band_count: 3, edges: &[] }).size, [0, 0]);
    let one = layout(&Drawing { bands: &[1], band_count: 3, edges: &[[0, 0]] });
    assert_eq!(one.size, [BOX_WIDTH, BOX_HEIGHT]);
    assert_eq!(one.bands, [[0, 0], [0, BOX_WIDTH], [0, 0]]);
}
