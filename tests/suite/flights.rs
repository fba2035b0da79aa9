//! The flights that left New York in 2013, as `tests/fixtures/nycflights/EXPECTED.md` counts them. The data is not in the
//! repository: the test runs wherever `NYCFLIGHTS_DATA` names the folder that holds it, or `../shared/data` has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kiln::run::event::TestStatus;
use kiln::workspace::Workspace;

use crate::support::{Deaf, Shop, whole};

fn data() -> Option<PathBuf> {
    let said = std::env::var_os("NYCFLIGHTS_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/nycflights13");
    said.or(Some(beside)).filter(|folder| folder.join("flights.csv.gz").exists())?.canonicalize().ok()
}

#[test]
fn flights_land_and_are_served() {
    let Some(data) = data() else { return };
    let shop = Shop::copy_of("tests/fixtures/nycflights");
    let mut options = shop.options();
    let folder = data.to_string_lossy().into_owned();
    options.env = Arc::new(move |name| (name == "NYCFLIGHTS_DATA").then(|| folder.clone()));
    let open = || Workspace::open(&options).unwrap_or_else(|error| panic!("{error}")).0;
    let workspace = open();
    let run = |workspace: &Workspace| {
        kiln::run::run(workspace, &whole(workspace), &Deaf, &AtomicBool::new(false))
            .unwrap_or_else(|e| panic!("{e}"))
    };
    let report = run(&workspace);
    assert!(
        report.is_good(),
        "{:?} {:#?}",
        report.ending,
        report.nodes.iter().filter(|n| !n.is_good()).collect::<Vec<_>>()
    );
    let database = workspace.target.database(workspace.root());
    let query = |sql: &str| crate::support::query(&database, sql);
    for (table, rows) in [
        ("raw.raw_airlines", "16"),
        ("curated.curated_airlines", "16"),
        ("raw.raw_airports", "1458"),
        ("curated.curated_airports", "1458"),
        ("raw.raw_planes", "3322"),
        ("curated.curated_planes", "3322"),
        ("raw.raw_flights", "336776"),
        ("curated.curated_flights", "336776"),
        ("raw.raw_weather", "26115"),
        ("curated.curated_weather", "26115"),
        ("curated.curated_weather_by_day", "1092"),
        ("serving.delays_by_carrier_day", "11864"),
        ("serving.delays_by_carrier", "16"),
    ] {
        assert_eq!(query(&format!("select count(*) from {table}")), rows, "{table}");
    }
    assert_eq!(query("select sum(rejected) from _kiln.load"), "0");
    let mut warned: Vec<Option<i64>> =
        report.tests().filter(|test| test.status == TestStatus::Warn).map(|test| test.failures).collect();
    warned.sort();
    assert_eq!(warned, [Some(1), Some(7602), Some(50094)]);
    assert_eq!(query("select count(*) from curated.curated_flights where dep_delay is null"), "8255");
    assert_eq!(
        query(
            "select carrier, flights, total_dep_delay from serving.delays_by_carrier where carrier in ('UA', 'B6', 'HA') \
             order by 1"
        ),
        "B6|54635|705417\nHA|342|1676\nUA|58665|701898"
    );
    let again = run(&open());
    assert!(matches!(again.ending, kiln::run::event::Ending::Unchanged { .. }), "{:?}", again.ending);
}
