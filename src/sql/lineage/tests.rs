//! What no plan of DuckDB shows: nonsense, and depth without end.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::of_plan;
use crate::sql::plan;

fn outputs() -> Vec<String> {
    vec!["a".to_owned()]
}

#[test]
fn nonsense_is_unknown() {
    for plan in [json!(null), json!([]), json!({}), json!({"plans": []}), json!({"error": true})] {
        let lineage = of_plan(&plan, &outputs());
        assert!(lineage.columns[0].unknown, "{plan}");
        assert!(!lineage.reasons.is_empty(), "{plan}");
    }
}

#[test]
fn operators_nested_without_end_are_unknown() {
    let level = "{\"type\":\"LOGICAL_LIMIT\",\"children\":[";
    let plan = plan::parse(&(level.repeat(1_400) + &"]}".repeat(1_400))).unwrap();
    insta::assert_snapshot!(
        of_plan(&plan, &outputs()).reasons.first().unwrap(), @"a plan nested too deep to follow"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\":,a0 \\\\]{0,40}") {
        // What serde_json reads, this reads in the same way.
        if let Ok(expected) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(plan::parse(&text), Some(expected));
        } else {
            let _ = plan::parse(&text);
        }
    }
}
