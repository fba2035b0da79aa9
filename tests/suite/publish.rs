//! What readers see after a run, and what they do not.

use kiln::run::event::{Ending, Outcome};

use crate::support::Shop;

fn counts(report: &kiln::run::event::RunReport) -> (usize, usize, usize, usize) {
    let count = |wanted: fn(&Outcome) -> bool| report.nodes.iter().filter(|n| wanted(&n.outcome)).count();
    (
        count(|o| matches!(o, Outcome::Built)),
        count(|o| matches!(o, Outcome::Reused)),
        count(|o| matches!(o, Outcome::Failed | Outcome::Error(_))),
        count(|o| matches!(o, Outcome::Skipped { .. })),
    )
}

#[test]
fn the_project_of_the_design_runs_as_it_stands() {
    let shop = Shop::copy_of("tests/fixtures/design_shop");
    let report = shop.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_good(), "{report:#?}");
    assert!(matches!(report.ending, Ending::Published { release_id: 1, .. }), "{:?}", report.ending);
    assert_eq!(
        shop.query("select * from serving.revenue_by_day order by 1"),
        "2026-11-01|3|27.40\n2026-11-02|1|42.00"
    );
    let again = shop.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(again.ending, Ending::Unchanged { release_id: Some(1) }), "{:?}", again.ending);
    assert_eq!(counts(&again), (0, 3, 0, 0));
}
