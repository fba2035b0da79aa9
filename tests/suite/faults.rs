//! What happens when the machine, the user or another program gets in the way of a run: each time the words say what to
//! do, readers keep what they had, and the next run goes on.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use crate::support::{Shop, binary, query, tell};

const DATABASE: &str = "shop.duckdb";

/// More than any machine counts before it is told to stop.
const ENDLESS: &str =
    "select count(*) as n from range(4000000000) a(i), range(4000000000) b(i) where (a.i * b.i) % 7 = 3\n";

fn kiln_yml(path: &str, more: &str) -> String {
    format!(
        "name: shop\ntargets:\n  dev: {{type: duckdb, path: {path}, threads: 2{more}}}\n\
         models:\n  shop: {{+materialized: table}}\n"
    )
}

/// The last line of a run that found the disk full.
const FULL: &str = "help: free some disk space and run again: what was built is kept\n";

/// One model that has been published.
fn published() -> Shop {
    let shop = Shop::of(&[("kiln.yml", &kiln_yml(DATABASE, "")), ("models/quick.sql", "select 1 as n\n")]);
    good(&shop, &["run"]);
    shop
}

fn kiln(shop: &Shop, arguments: &[&str]) -> Output {
    binary(shop.root(), arguments).output().expect("kiln starts")
}

fn good(shop: &Shop, arguments: &[&str]) {
    let output = kiln(shop, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// Both streams, with what differs from run to run taken out.
fn said(output: &Output) -> String {
    let text = format!(
        "exit {}\n{}{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    steady(&text)
}

fn steady(text: &str) -> String {
    let filters = [
        (r"\b\d+\.\d+s", "0.0s"),
        (r" \(slowest: [^)]*\)", ""),
        (r"of \d{4}-\d\d-\d\d \d\d:\d\d UTC", "of [moment] UTC"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
        (r"\(process \d+\)", "(process [pid])"),
        (r"`[^` ]*/shop\.duckdb", "`[folder]/shop.duckdb"),
        ("\"[^\" ]*/shop\\.duckdb", "\"[folder]/shop.duckdb"),
        (r"`[^` ]*/\.tmp[^`/]*", "`[folder]"),
        // The disk may be full while rows are written, or when they are committed.
        (r"Failed to commit: ", ""),
        (r"checksum \d+", "checksum [number]"),
        (r"position \d+", "position [number]"),
    ];
    filters.iter().fold(text.to_owned(), |text, (pattern, with)| {
        regex::Regex::new(pattern).expect("a good pattern").replace_all(&text, *with).into_owned()
    })
}

fn release(shop: &Shop) -> String {
    shop.query("select max(release_id) from _kiln.release")
}

/// A run of a project whose model `endless` never ends.
struct Endless {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Endless {
    /// Gives it back when the run is under way: `started` is built.
    fn start(shop: &Shop) -> Self {
        shop.write("models/started.sql", "select 2 as n\n");
        shop.write("models/endless.sql", &format!("-- depends_on: {{{{ ref('started') }}}}\n{ENDLESS}"));
        let mut child = binary(shop.root(), &["run"]).stderr(Stdio::piped()).spawn().expect("kiln starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("✓ started") {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "it ended too soon");
        }
        Self { child, stderr }
    }

    /// Ctrl-C; what it says then, and its exit code.
    fn interrupt(mut self) -> (String, Option<i32>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill starts").success());
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("text");
        (rest, self.child.wait().expect("an end").code())
    }
}

#[test]
fn ctrl_c_ends_a_run_and_nothing_is_published() {
    let shop = published();
    shop.write("models/quick.sql", "select 3 as n\n");
    let (words, code) = Endless::start(&shop).interrupt();
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("stopping; press Ctrl-C again to end at once\n"), "{words}");
    assert!(words.ends_with("interrupted; nothing published\n"), "{words}");
    assert_eq!(release(&shop), "1");
    assert_eq!(shop.query("select n from main.quick"), "1");
    assert_eq!(shop.query("select status from _kiln.run order by started_at desc limit 1"), "interrupted");
    shop.write("models/endless.sql", "select n from {{ ref('started') }}\n");
    let output = kiln(&shop, &["run"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // `started` was committed before it was said; `quick` may have been, or not.
    assert!(said(&output).contains(" reused"), "it goes on: {}", said(&output));
    assert_eq!((release(&shop).as_str(), shop.query("select n from main.quick").as_str()), ("2", "3"));
}

#[test]
fn the_second_of_two_runs_is_told_who_runs() {
    let shop = published();
    let first = Endless::start(&shop);
    let pid = first.child.id();
    let output = kiln(&shop, &["run", "--wait", "1"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains(&format!("(process {pid})")), "{words}");
    let (_, code) = first.interrupt();
    assert_eq!(code, Some(2));
    insta::assert_snapshot!("second_of_two_runs", said(&output));
}

#[test]
fn a_file_that_another_program_holds_is_waited_for() {
    let shop = published();
    // A process may open a file as often as it likes; for the child this process is another program.
    let holder = duckdb::Connection::open(shop.root().join(DATABASE)).expect("a database");
    let output = kiln(&shop, &["run", "--wait", "0"]);
    let pid = std::process::id();
    let name = std::fs::read_to_string("/proc/self/comm").map(|name| format!(" ({})", name.trim()));
    let words =
        said(&output).replace(&format!("process {pid}{}", name.unwrap_or_default()), "process [pid] (name)");
    insta::assert_snapshot!("held_by_another_program", words);
    shop.write("models/quick.sql", "select 4 as n\n");
    let patient = binary(shop.root(), &["run", "--wait", "60"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kiln starts");
    // Long enough that it finds the file held, most of the time; it must end well in each case.
    std::thread::sleep(Duration::from_millis(400));
    drop(holder);
    let output = patient.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(shop.query("select n from main.quick"), "4");
}

#[test]
fn a_model_that_needs_more_memory_than_there_is() {
    let shop = published();
    let limits = |limit: &str| {
        kiln_yml(DATABASE, &format!(", memory_limit: {limit}, settings: {{temp_directory: \"\"}}"))
    };
    shop.write("kiln.yml", &limits("50MB"));
    shop.write("models/quick.sql", "select 5 as n\n");
    shop.write("models/large.sql", "select list(i order by hash(i)) as n\nfrom range(8000000) t(i)\n");
    let output = kiln(&shop, &["run"]);
    let words =
        regex::Regex::new(r"\([\d.]+ .iB/[\d.]+ .iB used\)|of size [\d.]+ .iB").expect("a good pattern");
    insta::assert_snapshot!("out_of_memory", words.replace_all(&said(&output), "[sizes]"));
    assert_eq!((release(&shop).as_str(), shop.query("select n from main.quick").as_str()), ("1", "1"));
    shop.write("kiln.yml", &limits("2GB"));
    good(&shop, &["run"]);
    assert_eq!(shop.query("select len(n) from main.large"), "8000000");
    assert_eq!((release(&shop).as_str(), shop.query("select n from main.quick").as_str()), ("2", "5"));
}

/// A small disk of its own. Only where this process may mount one.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        tell("skipped: a disk cannot be mounted here");
        None
    }

    /// Writes a file that leaves so many bytes free.
    fn fill(&self, leave: u64) {
        let file = std::fs::File::create(self.0.join("filler")).expect("a file");
        let mut size = 0;
        let block = [0u8; 4096];
        while std::os::unix::fs::FileExt::write_all_at(&file, &block, size).is_ok() {
            size += block.len() as u64;
        }
        file.set_len(size.saturating_sub(leave)).expect("a shorter file");
    }

    fn unfill(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("a removed file");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_model_that_is_larger_than_the_disk() {
    let shop =
        Shop::of(&[("kiln.yml", &kiln_yml("disk/shop.duckdb", "")), ("models/quick.sql", "select 1 as n\n")]);
    let Some(disk) = Disk::mount(shop.root().join("disk"), "size=12m") else { return };
    good(&shop, &["run"]);
    shop.write("models/quick.sql", "select 6 as n\n");
    shop.write("models/large.sql", "select i, md5(i::varchar) as text\nfrom range(1000000) t(i)\n");
    let output = kiln(&shop, &["run"]);
    insta::assert_snapshot!("model_larger_than_the_disk", said(&output));
    // Now nothing is left at all: the file has grown, and there is no room for a log.
    disk.fill(0);
    let shown = kiln(&shop, &["show", "quick", "--output", "csv"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "n\n1\n");
    shop.remove("models/large.sql");
    let words = said(&kiln(&shop, &["run"]));
    assert!(words.starts_with("exit 2") && words.ends_with(FULL), "{words}");
    let shown = kiln(&shop, &["show", "quick", "--output", "csv"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "n\n1\n");
    // A little room is enough: the run that has it gives back what the model took.
    disk.fill(256 << 10);
    good(&shop, &["run"]);
    assert_eq!(shop.query("select n from main.quick"), "6");
    let size = std::fs::metadata(shop.root().join("disk/shop.duckdb")).expect("a database").len();
    assert!(size < 6 << 20, "{size}");
}

/// However little room there is, what readers see is what the exit code says.
#[test]
fn a_disk_that_is_full_at_any_point() {
    let shop = Shop::of(&[
        (
            "kiln.yml",
            &kiln_yml("disk/shop.duckdb", "")
                .replace("{+materialized: table}", "{+materialized: table, raw: {+materialized: append}}"),
        ),
        (
            "models/raw/sources.yml",
            "sources:\n  - name: api\n    tables:\n      - name: things\n        files: landing/*.csv\n",
        ),
        ("models/raw/raw_things.sql", "select * from {{ source('api', 'things') }}\n"),
        ("models/curated/things.sql", "select * from {{ ref('raw_things') }}\n"),
        ("models/quick.sql", "select 0 as n\n"),
        ("landing/0.csv", "n\n0\n"),
    ]);
    let Some(disk) = Disk::mount(shop.root().join("disk"), "size=16m") else { return };
    good(&shop, &["run"]);
    let database = disk.0.join(DATABASE);
    let (mut published, mut shown) = (0, 1);
    let mut endings = Vec::new();
    // In steps of a page of the disk, so that each commit of a run is the first for which there is no room: the small
    // rounds for those of publishing, the larger ones for those of loading and building.
    let small = (0..=16).step_by(4).map(|kilobytes| (10, kilobytes));
    let large = (0..=64).step_by(8).chain([256, 1024]).map(|kilobytes| (400, kilobytes));
    let mut landed = 1;
    for (round, (count, kilobytes)) in small.chain(large).enumerate() {
        let round = round + 1;
        let rows: String = (0..count).map(|row| format!("{}\n", round * 10_000 + row)).collect();
        shop.write(&format!("landing/{round}.csv"), &format!("n\n{rows}"));
        shop.write("models/quick.sql", &format!("select {round} as n\n"));
        disk.fill(kilobytes << 10);
        let output = kiln(&shop, &["run"]);
        let code = output.status.code().expect("it ends by itself");
        disk.unfill();
        let when = format!("{kilobytes} KB left: {}", said(&output));
        if code == 0 || when.contains(" is published; afterwards ") {
            (published, shown) = (round, landed + count);
        }
        landed += count;
        if code != 0 {
            assert!(
                when.contains("No space left on device") && when.contains("free some disk space"),
                "{when}"
            );
        }
        let error = when.lines().find(|line| line.starts_with("error")).unwrap_or("fine").to_owned();
        endings.push(format!("{kilobytes} KB: exit {code}, {error}"));
        let seen =
            query(&database, "select (select n from main.quick), (select count(*) from curated.things)");
        assert_eq!(seen, format!("{published}|{shown}"), "{when}");
        let differing =
            "select * from (select _batch_id as b, count(*) as n from raw.raw_things group by all) r
             full join _kiln.load l on r.b = l.batch_id where r.n is null or l.rows is null or r.n <> l.rows";
        assert_eq!(query(&database, differing), "", "{when}");
        // With room again the next run goes on from there.
        good(&shop, &["run"]);
        (published, shown) = (round, landed);
    }
    tell(&endings.join("\n"));
    assert!(endings[0].contains("exit 2"), "{endings:?}");
}

#[test]
fn a_damaged_log_is_left_as_it_is() {
    let shop = published();
    let path = shop.root().join(DATABASE);
    let log = shop.root().join(format!("{DATABASE}.wal"));
    let connection = duckdb::Connection::open(&path).expect("a database");
    connection
        .execute_batch("PRAGMA disable_checkpoint_on_shutdown; CREATE TABLE kept AS SELECT * FROM range(1000); CREATE TABLE lost AS SELECT * FROM range(1000)")
        .expect("two commits");
    drop(connection);
    let mut bytes = std::fs::read(&log).expect("a log");
    let at = bytes.len() - 200;
    bytes[at..at + 100].fill(0xab);
    std::fs::write(&log, &bytes).expect("a written file");
    let before = std::fs::read(&path).expect("a database");
    let output = kiln(&shop, &["run"]);
    insta::assert_snapshot!("damaged_log", said(&output));
    assert!(std::fs::read(&path).expect("a database") == before, "the file was written");
    assert!(std::fs::read(&log).expect("a log") == bytes, "the log was written");
    // What the words say to do.
    std::fs::rename(&log, shop.root().join("aside.wal")).expect("a moved file");
    good(&shop, &["run"]);
    assert_eq!(shop.query("select n from main.quick"), "1");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let shop = published();
    shop.write("kiln.yml", &kiln_yml("locked/shop.duckdb", ""));
    let Some(_disk) = Disk::mount(shop.root().join("locked"), "size=1m,ro") else { return };
    insta::assert_snapshot!("folder_read_only", said(&kiln(&shop, &["run"])));
    let folder = PathBuf::from("locked/below/shop.duckdb");
    shop.write("kiln.yml", &kiln_yml(&folder.to_string_lossy(), ""));
    insta::assert_snapshot!("folder_that_cannot_be_made", said(&kiln(&shop, &["run"])));
    assert!(!shop.root().join(folder).exists());
}
