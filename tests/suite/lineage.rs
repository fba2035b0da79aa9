//! What compiling and lineage say on a small project, through the binary.

use crate::commands::Project;

const EXPOSURES: &str = "exposures:\n  - name: board\n    type: dashboard\n    owner: {name: BI}\n    depends_on: [ref('totals')]\n    meta: {columns: {totals: [amount]}}\n";

fn project() -> Project {
    let project = Project::new();
    project.write("models/exposures.yml", EXPOSURES);
    project
}

#[test]
fn a_wrong_column_is_found_without_data() {
    let project = project();
    project.write(
        "models/curated/totals.sql",
        "select\n    count(*) as orders,\n    sum(amuont) as amount\nfrom {{ ref('orders') }}\n",
    );
    insta::assert_snapshot!("compile_wrong_column", project.say(&["compile"]));
    assert!(project.path().join("target/compiled/shop/models/curated/totals.sql").exists());
    assert!(!project.path().join("target/dev.duckdb").exists());
    insta::assert_snapshot!("lineage_of_a_broken_project", project.say(&["lineage", "orders"]));
    insta::assert_snapshot!("schema_of_a_broken_model", project.say(&["show", "totals", "--schema"]));
    assert!(project.say(&["show", "orders", "--schema"]).starts_with("exit 0"));
}

#[test]
fn what_cannot_be_known_is_said() {
    let project = project();
    project.write(
        "models/curated/wide.sql",
        "select * from {{ ref('orders') }} join read_csv('landing/1.csv') using (order_id)\n",
    );
    insta::assert_snapshot!("compile_unknown_columns", project.say(&["compile"]));
    insta::assert_snapshot!("schema_unknown", project.say(&["show", "wide", "--schema"]));
    project.write("models/curated/spread.sql", "pivot {{ ref('orders') }} on order_id using sum(amount)\n");
    insta::assert_snapshot!("schema_of_a_pivot", project.say(&["show", "spread", "--schema"]));
    insta::assert_snapshot!("lineage_unknown", project.say(&["lineage", "orders.amount", "--downstream"]));
}

#[test]
fn compile_writes_lineage_and_a_selection_of_sql() {
    let project = project();
    assert!(project.say(&["compile", "-s", "totals"]).starts_with("exit 0"));
    let read = |path: &str| std::fs::read_to_string(project.path().join("target").join(path));
    let lineage: serde_json::Value =
        serde_json::from_str(&read("lineage.json").expect("a lineage file")).expect("JSON");
    insta::assert_snapshot!("lineage_file", format!("{lineage:#}"));
    assert!(read("catalog.json").is_ok());
    assert!(read("compiled/shop/models/curated/totals.sql").is_ok());
    assert!(read("compiled/shop/models/curated/orders.sql").is_err());
}

#[test]
fn schema_needs_no_run() {
    let project = project();
    insta::assert_snapshot!("schema", project.say(&["show", "totals", "--schema"]));
    insta::assert_snapshot!(
        "schema_csv",
        project.say(&["show", "raw_orders", "--schema", "--output", "csv"])
    );
    insta::assert_snapshot!("schema_json", project.say(&["show", "totals", "--schema", "--output", "json"]));
}

#[test]
fn lineage_in_every_form() {
    let project = project();
    insta::assert_snapshot!("lineage_text", project.say(&["lineage", "orders"]));
    insta::assert_snapshot!(
        "lineage_json",
        project.say(&["lineage", "totals.amount", "--upstream", "--format", "json"])
    );
    insta::assert_snapshot!(
        "lineage_mermaid",
        project.say(&["lineage", "orders.amount", "--format", "mermaid"])
    );
    insta::assert_snapshot!(
        "lineage_of_a_source",
        project.say(&["lineage", "api.orders.amount", "--downstream", "--depth", "1"])
    );
}

#[test]
fn misspelt_names_of_lineage() {
    let project = project();
    let said: Vec<String> = ["ordes", "ordes.amount", "orders.amuont", "orders.nothing"]
        .iter()
        .map(|start| project.say(&["lineage", start]))
        .collect();
    insta::assert_snapshot!("lineage_misspelt", said.join("\n"));
}

/// A consumer's real SQL says which columns it reads, and how.
#[test]
fn the_queries_of_consumers_are_in_the_lineage() {
    let project = project();
    project.write(
        "models/exposures.yml",
        "exposures:
  - name: board
    type: dashboard
    owner: {name: BI}
    depends_on: [ref('orders'), ref('totals'), ref('raw_orders')]
    meta:
      columns: {totals: [amount]}
      queries:
        - \"select max(amount) as Largest, count(*) as n from curated.orders where order_id > 1;\"
        - \"select t.* from curated.totals as t\"
",
    );
    insta::assert_snapshot!(
        "lineage_of_queries",
        project.say(&["lineage", "board", "--upstream", "--format", "json"])
    );
    insta::assert_snapshot!(
        "lineage_into_queries",
        project.say(&["lineage", "orders.order_id", "--downstream"])
    );
}

/// Who asks for one model hears of it and of what it needs, not of others; lineage and columns are those of all.
#[test]
fn a_selection_hears_of_itself() {
    let project = project();
    project.write("models/curated/other.sql", "select nothing from {{ ref('orders') }}\n");
    let said = project.say(&["compile", "-s", "totals"]);
    assert!(said.starts_with("exit 0"), "{said}");
    let lineage =
        std::fs::read_to_string(project.path().join("target/lineage.json")).expect("a lineage file");
    assert!(lineage.contains("\"other.*\""), "{lineage}");
    let manifest = std::fs::read_to_string(project.path().join("target/manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["nodes"]["model.shop.totals"]["compiled"], true);
    assert!(manifest["nodes"]["model.shop.orders"].get("compiled").is_none());
    for wanted in ["other", "orders+"] {
        let said = project.say(&["compile", "-s", wanted]);
        assert!(said.starts_with("exit 2") && said.contains("no column `nothing`"), "{said}");
    }
    project.write("models/curated/orders.sql", "select amuont from {{ ref('raw_orders') }}\n");
    let said = project.say(&["compile", "-s", "totals"]);
    assert!(said.starts_with("exit 2") && said.contains("amuont") && !said.contains("nothing"), "{said}");
}
