//! The docs site through the binary: what is in it, what is not, and that the same input gives the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::commands::Project;
use crate::support::{Shop, binary};

/// Every file below a folder, by its path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).expect("inside it").to_string_lossy().into_owned();
            (path, std::fs::read(entry.path()).expect("a readable file"))
        })
        .collect()
}

/// What a script of the site assigns.
fn assigned(folder: &Path, file: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(file)).expect("a script");
    let json = text.split_once(" = ").expect("an assignment").1;
    serde_json::from_str(json.trim_end().trim_end_matches(';')).expect("JSON")
}

fn page(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).expect("a page")
}

#[test]
fn the_same_project_gives_the_same_bytes_and_every_link_leads_somewhere() {
    let shop = Shop::copy_of("example_project");
    shop.run().expect("runs");
    let make = |out: &str| {
        let output = binary(shop.root(), &["docs", "generate", "--out", out]).output().expect("kiln starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        files(&shop.root().join(out))
    };
    let (one, two) = (make("one"), make("deep/two"));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    assert!(one == two, "two makings differ");
    let root = shop.root().canonicalize().expect("a folder");
    let links = regex::Regex::new(r##"(?:href|src)="([^"#:]+)(?:#[^"]*)?""##).expect("a pattern");
    for (path, bytes) in &one {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(&*root.to_string_lossy()), "{path} names this machine");
        if !path.ends_with(".html") {
            continue;
        }
        let folder = Path::new(path).parent().expect("a folder");
        for link in links.captures_iter(&text) {
            let led = folder.join(&link[1]);
            let led = led.to_string_lossy().replace("m/../", "").replace("s/../", "").replace("c/../", "");
            assert!(one.contains_key(&led), "{path} leads to {led}");
        }
    }
    let listed = assigned_manifest(&shop.root().join("one"));
    let listed: Vec<&str> =
        listed["files"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(listed, one.keys().map(String::as_str).collect::<Vec<_>>());
}

fn assigned_manifest(folder: &Path) -> Value {
    serde_json::from_str(&page(folder, "data/manifest.json")).expect("JSON")
}

#[test]
fn a_project_that_was_not_run_has_a_site() {
    let project = Project::new();
    insta::assert_snapshot!("docs_generate", steady(&project.say(&["docs", "generate"])));
    let site = project.path().join("target/site");
    assert!(page(&site, "index.html").contains("Not run yet"));
    assert!(page(&site, "m/orders.html").contains("not run"));
    let graph = assigned(&site, "data/graph.js");
    assert!(graph.get("run").is_none());
    let nodes = graph["nodes"].as_array().expect("nodes");
    let line = |node: &Value| {
        format!(
            "{} {} {} {}",
            node["name"],
            node["kind"],
            node["status"],
            graph["layers"][node["layer"].as_u64().unwrap_or(0) as usize]["key"]
        )
    };
    let lines: Vec<String> = nodes.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n").replace('"', ""), @r#"
    api.orders source none sources
    raw_orders model none raw
    orders model none curated
    totals model none curated
    "#);
}

/// Sizes and times differ from machine to machine.
fn steady(text: &str) -> String {
    let sized = regex::Regex::new(r"\d+\.\d MB").expect("a pattern");
    let files = regex::Regex::new(r"\d+ files").expect("a pattern");
    files.replace_all(&sized.replace_all(text, "0.0 MB"), "n files").into_owned()
}

#[test]
fn what_is_wrong_is_shown_by_a_site_that_is_there_all_the_same() {
    let project = Project::new();
    project.write("models/curated/totals.sql", "select sum(amuont) as amount from {{ ref('orders') }}\n");
    let said = project.say(&["docs", "generate"]);
    assert!(said.starts_with("exit 2") && said.contains("Wrote a site"), "{said}");
    let site = project.path().join("target/site");
    let text = page(&site, "m/totals.html");
    assert!(text.contains("amuont") && text.contains("status-failed"), "{text}");
    assert!(page(&site, "index.html").contains("Needs attention"));
}

#[test]
fn a_failed_test_a_broken_contract_and_old_data_are_told_apart() {
    let shop = Shop::copy_of("example_project");
    shop.run().expect("runs");
    shop.write(
        "tests/no_payment_is_large.sql",
        "select * from {{ ref('curated_payments') }} where amount > 50\n",
    );
    shop.replace(
        "models/raw/sources.yml",
        "name: events\n",
        "name: events\n        loaded_at_field: occurred_at\n        freshness: {error_after: {count: 1, period: day}}\n",
    );
    shop.replace("contracts/revenue_by_day.odcs.yaml", "mustBeGreaterThan: 0}", "mustBeGreaterThan: 100000}");
    shop.run().expect("runs");
    let output = binary(shop.root(), &["docs", "generate", "--out", "site"]).output().expect("kiln starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let site = shop.root().join("site");
    let graph = assigned(&site, "data/graph.js");
    let nodes = graph["nodes"].as_array().expect("nodes");
    let moment = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").expect("a pattern");
    let line =
        |node: &Value| format!("{} {}: {}", node["name"], node["status"], node["why"]).replace('"', "");
    let bad: Vec<String> = nodes
        .iter()
        .filter(|node| !["ok", "none"].contains(&node["status"].as_str().expect("a status")))
        .map(|node| moment.replace_all(&line(node), "[moment]").into_owned())
        .collect();
    insta::assert_snapshot!(bad.join("\n"), @"
    web.events stale: its newest data is from [moment], older than 1 day
    raw_events stale: web.events is stale: its newest data is from [moment], older than 1 day
    curated_events stale: web.events is stale: its newest data is from [moment], older than 1 day
    curated_orders warned: 1 of 13 tests warned
    curated_payments failed: 1 of 8 tests failed
    curated_sessions stale: web.events is stale: its newest data is from [moment], older than 1 day
    funnel_by_day stale: web.events is stale: its newest data is from [moment], older than 1 day
    revenue_by_day broken: 1 promise of its contract is broken
    traffic_by_day stale: web.events is stale: its newest data is from [moment], older than 1 day
    funnel_notebook stale: web.events is stale: its newest data is from [moment], older than 1 day
    revenue_dashboard broken: revenue_by_day: 1 promise of its contract is broken
    ");
    assert!(page(&site, "releases.html").contains("failed"));
}

#[test]
fn builds_tell_their_size_and_releases_who_published_them() {
    let shop = Shop::copy_of("example_project");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    shop.write(".git/HEAD", &format!("{commit}\n"));
    let run = |variables: &[(&str, &str)]| {
        let output =
            binary(shop.root(), &["run"]).envs(variables.iter().copied()).output().expect("kiln starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&[]);
    shop.replace("models/serving/revenue_by_day.sql", "count(*) as orders", "count(order_id) as orders");
    run(&[
        ("GITHUB_ACTOR", "bob"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "shop/pipeline"),
        ("GITHUB_RUN_ID", "42"),
    ]);
    let output = binary(shop.root(), &["docs", "generate"]).output().expect("kiln starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let site = shop.root().join("target/site");
    let model = page(&site, "m/revenue_by_day.html");
    for chart in ["Rows", "Build time", "Size"] {
        assert!(
            model.contains(&format!("<figcaption>{chart}</figcaption><svg")),
            "no chart of {chart}: {model}"
        );
    }
    assert_eq!(model.matches("<td class=\"number\">262.1 kB</td>").count(), 2, "a small table is one block");
    // The run after it wrote the size of the first build down; the one of the second is measured when it is asked for.
    assert_eq!(
        shop.query("select bytes from _kiln.build where model = 'revenue_by_day' order by built_at"),
        "262144\nNULL"
    );
    let releases = page(&site, "releases.html").replace("&#x2f;", "/");
    let by = |who: &str| format!("published by <b>{who}</b> from commit <code>{}</code>", &commit[..10]);
    let job = "<a href=\"https://github.com/shop/pipeline/actions/runs/42\">job</a>";
    assert!(
        releases.contains(&by("ada")) && releases.contains(&format!("{} · {job}", by("bob"))),
        "{releases}"
    );
}

#[test]
fn secrets_and_values_of_the_environment_stay_at_home() {
    let project = Project::new();
    project.write(
        "models/curated/orders.sql",
        "select order_id, amount, '{{ env_var('KILN_SECRET_PASSWORD') }}' as a, '{{ env_var('SHOP_REGION') }}' as b\nfrom {{ ref('raw_orders') }}\n",
    );
    project.write(
        "models/more.yml",
        "models:\n  - name: totals\n    description: \"of {{ env_var('SHOP_REGION') }}, {{ env_var('KILN_SECRET_PASSWORD') }}\"\n    config: {meta: {owner: \"{{ env_var('SHOP_REGION') }}\", token: \"{{ env_var('KILN_SECRET_PASSWORD') }}\"}}\n",
    );
    let said = |arguments: &[&str]| {
        let mut command = binary(project.path(), arguments);
        command.env("KILN_SECRET_PASSWORD", "hunter2<&>\"x").env("SHOP_REGION", "northwest-9");
        let output = command.output().expect("kiln starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    said(&["run"]);
    said(&["docs", "generate", "--out", "site"]);
    said(&["docs", "generate", "--single-file", "--out", "site/one.html"]);
    let root = project.path().canonicalize().expect("a folder");
    for (path, bytes) in files(&project.path().join("site")) {
        let text = String::from_utf8_lossy(&bytes);
        for hidden in ["hunter2", "northwest", &root.to_string_lossy()] {
            assert!(!text.contains(hidden), "{path} tells {hidden}");
        }
    }
    assert!(page(&project.path().join("site"), "m/orders.html").contains("•••"));
}

#[test]
fn sql_and_samples_are_left_out_on_demand() {
    let project = Project::new();
    project.write("landing/2.csv", "order_id,amount\nzebra,1.00\n");
    assert!(project.say(&["run"]).starts_with("exit 0"));
    let all = |arguments: &[&str]| {
        let arguments: Vec<&str> =
            ["docs", "generate", "--out", "site"].iter().chain(arguments).copied().collect();
        let said = project.say(&arguments);
        assert!(said.starts_with("exit 0"), "{said}");
        let texts: Vec<String> = files(&project.path().join("site"))
            .into_iter()
            .filter(|(path, _)| !path.starts_with("assets/"))
            .map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned())
            .collect();
        texts.join("\n")
    };
    let shown = all(&[]);
    assert!(shown.contains("<span class=\"k\">select</span>") && shown.contains("zebra"));
    assert!(!all(&["--no-sql"]).contains("<span class=\"k\">select</span>"));
    assert!(!all(&["--no-samples"]).contains("zebra"));
}

#[test]
fn names_and_texts_that_want_to_be_markup_or_paths_are_text() {
    let project = Project::new();
    let evil = "</script><script>alert(1)</script>";
    let names = ["index", "Totals_", "TOTALS__", "con", "عربى"];
    let mut models = String::from("models:\n");
    for name in names {
        project.write(&format!("models/curated/{name}.sql"), "select 1 as \"<i>x</i>\"\n");
        models.push_str(&format!(
            "  - name: \"{name}\"\n    description: \"{evil} [x](javascript:alert(1))\"\n"
        ));
    }
    let consumers = ["../../etc/passwd", "<i>x</i>", "🦀 \\\"onerror=\\\"x", "a\\\\b", "COM1", "."];
    let mut exposures = String::from("exposures:\n");
    for name in consumers {
        exposures.push_str(&format!(
            "  - name: \"{name}\"\n    type: dashboard\n    url: \"javascript:alert(1)\"\n    tags: [\"<i>x\"]\n    \
             owner: {{name: \"{evil}\"}}\n    depends_on: [ref('con')]\n"
        ));
    }
    project.write("models/consumers.yml", &exposures);
    let long = "l".repeat(200);
    project.write(&format!("models/curated/{long}.sql"), "select 1 as one\n");
    project.write("models/evil.yml", &models);
    let said = project.say(&["docs", "generate", "--out", "site"]);
    assert!(said.starts_with("exit 0"), "{said}");
    let said = project.say(&["docs", "generate", "--single-file", "--out", "one.html"]);
    assert!(said.starts_with("exit 0"), "{said}");
    let site = project.path().join("site");
    let mut lower: Vec<String> = Vec::new();
    for (path, bytes) in files(&site) {
        assert!(path.len() < 120 && path.is_ascii(), "{path}");
        lower.push(path.to_lowercase());
        // Plain text may hold what would be markup elsewhere.
        if path.ends_with(".txt") {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("<script>alert"), "{path}");
        assert!(!text.contains("<i>x"), "{path}");
        assert!(!text.contains("href=\"javascript"), "{path}");
        if path.ends_with(".html") || path.ends_with(".svg") {
            assert!(text.contains("</html>") || text.contains("</svg>"), "{path}");
        }
    }
    lower.sort();
    lower.dedup();
    assert_eq!(lower.len(), files(&site).len());
    let one = page(project.path(), "one.html");
    assert!(!one.contains("<script>") && !one.contains("<i>x"));
    // Each page's section is there once, under the address that links lead to.
    for link in regex::Regex::new(r##"href="#(/[^"?]+)""##).expect("a pattern").captures_iter(&one) {
        assert!(one.contains(&format!("id=\"{}\"", &link[1])), "{}", &link[1]);
    }
}

#[test]
fn a_change_is_drawn_over_the_graph() {
    let project = Project::new();
    let report = r#"{"base": "main (4f1c2ab)", "findings": [
        {"rule": "column-type-narrowed", "model": "orders", "column": "amount"},
        {"rule": "model-removed", "model": "old_orders"},
        {"rule": "column-added", "model": "api.orders", "column": "note"}
    ]}"#;
    project.write("diff.json", report);
    project.write("broken.json", "{\"findings\": 1}");
    let said = project.say(&["docs", "generate", "--diff", "diff.json"]);
    assert!(said.starts_with("exit 0"), "{said}");
    let graph = assigned(&project.path().join("target/site"), "data/graph.js");
    let nodes = graph["nodes"].as_array().expect("nodes");
    let labels: Vec<String> =
        nodes.iter().map(|node| format!("{} {}", node["name"], node["diff"]).replace('"', "")).collect();
    insta::assert_snapshot!(format!("{}\n{}", labels.join("\n"), graph["diff"]), @r#"
    api.orders modified
    raw_orders affected
    orders modified
    totals affected
    old_orders removed
    {"base":"main (4f1c2ab)","counts":{"added":0,"affected":2,"modified":2,"removed":1}}
    "#);
    insta::assert_snapshot!(project.say(&["docs", "generate", "--diff", "broken.json"]), @r#"
    exit 2
    --- stderr
    error: `broken.json` is not what `kiln diff --format json` writes: it has no `findings`
    help: make it with `kiln diff --format json > broken.json`
    "#);
}

#[test]
fn a_served_site_follows_the_project() {
    let project = Project::new();
    let mut command = binary(project.path(), &["docs", "serve", "--no-open", "--port", "0"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("kiln starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("its words")));
    let line = lines.next().expect("a line").expect("text");
    let address =
        line.trim().strip_prefix("Serving http://").expect("an address").trim_end_matches('/').to_owned();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        std::io::Write::write_all(
            &mut stream,
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes(),
        )
        .expect("it reads");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("it answers");
        answer
    };
    assert!(get("/m/orders.html").contains("data-live=\"1\""));
    project.write("models/schema.yml", "models:\n  - {name: orders, description: as they are now}\n");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !get("/version").ends_with("\r\n\r\n2\n") {
        assert!(std::time::Instant::now() < deadline, "it does not follow");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(get("/m/orders.html").contains("as they are now"));
    let stopped = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(stopped.expect("kill starts").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// Starts serving with a browser that writes down what it was asked to open, and ends it when `until` says so.
#[cfg(target_os = "linux")]
fn opened_by(project: &Project, arguments: &[&str]) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let asked = project.path().join("opened.txt");
    project.write("bin/xdg-open", &format!("#!/bin/sh\nprintf %s \"$1\" > '{}'\n", asked.display()));
    let browser = project.path().join("bin/xdg-open");
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).expect("a program");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = binary(project.path(), arguments);
    command.env("PATH", format!("{}:{path}", project.path().join("bin").display()));
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("kiln starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("its words")));
    let line = lines.next().expect("a line").expect("text");
    assert!(line.starts_with(" Serving http://127.0.0.1:"), "{line}");
    // A browser that is not asked for would be there within the time that one needs that is.
    let waits = if arguments.contains(&"--no-open") { 20 } else { 600 };
    let seen = (0..waits).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        std::fs::read_to_string(&asked).ok().filter(|text| !text.is_empty())
    });
    let stopped = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(stopped.expect("kill starts").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(seen.as_ref().is_none_or(|address| line.contains(address)), "{line} but {seen:?}");
    seen
}

#[cfg(target_os = "linux")]
#[test]
fn a_browser_is_opened_unless_it_is_told_not_to() {
    let project = Project::new();
    assert_eq!(opened_by(&project, &["docs", "serve", "--no-open", "--port", "0"]), None);
    assert!(opened_by(&project, &["docs", "serve", "--port", "0"]).is_some());
}

#[test]
fn scripts_and_styles_are_small() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/assets");
    let gzipped = |ending: &str| -> usize {
        files(&assets)
            .into_iter()
            .filter(|(path, _)| path.ends_with(ending))
            // Head and tail of the gzip format.
            .map(|(_, bytes)| miniz_oxide::deflate::compress_to_vec(&bytes, 9).len() + 18)
            .sum()
    };
    assert!(gzipped(".js") <= 40 * 1024, "scripts: {} bytes", gzipped(".js"));
    assert!(gzipped(".css") <= 10 * 1024, "style: {} bytes", gzipped(".css"));
    for (path, bytes) in files(&assets) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("</script") && !text.contains("</style"),
            "{path} would end what it stands in"
        );
    }
}
