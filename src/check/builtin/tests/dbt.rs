//! Data on which dbt's own four tests pass and fail.

use serde_json::json;

use super::{Case, NONE};

pub(super) fn cases() -> Vec<Case> {
    let x = || json!({"column_name": "x"});
    vec![
        Case("not_null", x(), "from (values (1), (2)) t(x)", NONE, 0),
        Case("not_null", x(), "from (values (1), (null), (null)) t(x)", NONE, 2),
        Case("not_null", json!({"column_name": "\"order date\""}), "select null as \"order date\"", NONE, 1),
        Case("unique", x(), "from (values (1), (2), (null), (null)) t(x)", NONE, 0),
        Case("unique", x(), "from (values (1), (1), (1), (2), (2), (3)) t(x)", NONE, 2),
        Case("unique", json!({"column_name": "lower(x)"}), "from (values ('a'), ('A')) t(x)", NONE, 1),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["a", "b"]}),
            "from (values ('a'), ('b'), (null)) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["a", "b"]}),
            "from (values ('a'), ('c'), ('c'), ('d')) t(x)",
            NONE,
            2,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["it's", "that''s"]}),
            "from (values ('it''s'), ('that''s')) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": [1, 2], "quote": false}),
            "from (values (1), (3)) t(x)",
            NONE,
            1,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": [1, 2]}),
            "from (values (1), (2)) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": [true]}),
            "from (values (true)) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["1 + 1"], "quote": false}),
            "select 2 as x",
            NONE,
            0,
        ),
        Case(
            "relationships",
            json!({"column_name": "x", "to": "p", "field": "id"}),
            "from (values (1), (2), (null)) t(x)",
            "from (values (1), (2), (null)) t(id)",
            0,
        ),
        Case(
            "relationships",
            json!({"column_name": "x", "to": "p", "field": "id"}),
            "from (values (1), (3), (3)) t(x)",
            "from (values (1), (2), (null)) t(id)",
            2,
        ),
    ]
}
