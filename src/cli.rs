//! The command line: what can be typed, and nothing of what it does.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  kiln init shop && cd shop && kiln run   a project that runs at once
  kiln run --explain                      what would be built, and why
  kiln run -s +revenue_by_day             one model and all that it needs
  kiln show revenue_by_day                what readers see
  kiln rollback                           back to the release before

Exit codes: 0 fine; 1 the data or a check failed, and nothing was published;
2 the project, the command line or the machine is wrong.";

/// Builds SQL models in DuckDB out of sight, tests them, and publishes all of it in one transaction.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
#[command(propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder that holds `kiln.yml`
    #[arg(long, global = true, value_name = "DIR", default_value = ".", env = "KILN_PROJECT_DIR")]
    pub project_dir: PathBuf,
    /// Target of kiln.yml [default: its `default_target`]
    #[arg(long, short, global = true, value_name = "NAME", env = "KILN_TARGET")]
    pub target: Option<String>,
    /// Variables as a YAML or JSON mapping: '{first_day: 2026-11-01}'
    #[arg(long, global = true, value_name = "YAML")]
    pub vars: Option<String>,
    /// Models built at the same time [default: what the target says]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Seconds to wait for a database that another process holds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5)]
    pub wait: u64,
    /// How to report: text on stderr, or one JSON object a line on stdout
    #[arg(
        long,
        global = true,
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
    /// Say nothing but what went wrong
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "auto|always|never",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: Colour,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people. dbt asks a parser for its own log records, and shows plain lines as they are.
    #[value(alias = "otel")]
    Text,
    /// For programs.
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the environment says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a new project that runs at once
    Init(InitArgs),
    /// Check every model and test, and infer types and lineage
    #[command(visible_alias = "parse")]
    Compile(CompileArgs),
    /// Load, build, test and publish
    #[command(visible_alias = "build")]
    Run(RunArgs),
    /// Test what is published
    Test(TestArgs),
    /// Compare with a commit, a release or a folder: what changes, who breaks, what is owed
    Diff(DiffArgs),
    /// Agree to a change that breaks readers: writes a waiver for a finding of `kiln diff`
    Waive(WaiveArgs),
    /// List what is in the project
    Ls(LsArgs),
    /// Show columns and first rows of what is published
    Show(ShowArgs),
    /// Follow columns to what they come from and to what is made of them
    Lineage(LineageArgs),
    /// Write and show contracts: what models promise to those who read them
    Contract(ContractArgs),
    /// Write a site that shows models, columns, tests, contracts and lineage
    Docs(DocsArgs),
    /// List releases and runs
    History(HistoryArgs),
    /// Point readers back at an earlier release
    Rollback(RollbackArgs),
    /// Say how old each source's data is, and fail if it is older than allowed
    Freshness(FreshnessArgs),
    /// Drop builds that no kept release needs
    Gc(GcArgs),
    /// Remove what Kiln wrote into the target folder, but never a database
    Clean,
}

/// Which models.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// What to take: `orders`, `+orders`, `orders+1`, `@orders`, `tag:daily`, `layer:serving`, `path:models/x`
    #[arg(long, short, value_name = "SELECTION", num_args = 1..)]
    pub select: Vec<String>,
    /// What to leave out of it
    #[arg(long, value_name = "SELECTION", num_args = 1..)]
    pub exclude: Vec<String>,
}

/// `kiln init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kiln init shop && cd shop && kiln run")]
pub struct InitArgs {
    /// A folder that is empty or does not exist yet
    pub dir: PathBuf,
}

/// `kiln compile`. The whole project is checked; the selection says whose SQL is written.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kiln compile -s revenue_by_day && cat target/compiled/*/models/serving/revenue_by_day.sql"
)]
pub struct CompileArgs {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Run the unit tests too: models on rows that are written down, in memory
    #[arg(long)]
    pub unit_tests: bool,
    /// Folder for what is written [default: the project's `target-path`]
    #[arg(long, value_name = "DIR")]
    pub target_path: Option<PathBuf>,
    /// What dbt says besides.
    #[command(flatten)]
    pub caller: CallerArgs,
}

/// What dbt-core says to a parser that it runs (`--use-v2-parser --v2-parser "kiln parse"`), beside what every command takes.
/// Targets are read from kiln.yml, so what names a profile means nothing here.
#[derive(Debug, Clone, Default, Args)]
pub struct CallerArgs {
    /// The id of dbt's own call, for the artifacts
    #[arg(long, hide = true, value_name = "ID")]
    pub invocation_id: Option<String>,
    /// Where dbt's profiles are
    #[arg(long, hide = true, value_name = "DIR")]
    pub profiles_dir: Option<PathBuf>,
    /// The profile
    #[arg(long, hide = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Where packages are installed
    #[arg(long, hide = true, value_name = "DIR")]
    pub packages_install_path: Option<PathBuf>,
    /// What goes into a log file, of which there is none
    #[arg(long, hide = true, value_name = "LEVEL")]
    pub log_level_file: Option<String>,
}

/// `kiln run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kiln run                     everything: what did not change is reused
  kiln run -s +revenue_by_day  one model and all that it needs
  kiln run --explain           what would be done and why; builds nothing
  kiln run --from 2026-01-01 --to 2026-02-01
                               do a window of time again; with --explain, say first what that is
  kiln run --partial           publish what does not depend on a failure")]
pub struct RunArgs {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Build curated and serving anew from raw, though nothing changed
    #[arg(long)]
    pub full_refresh: bool,
    /// Empty the raw tables and load every file again
    #[arg(long)]
    pub reload: bool,
    /// Do the intervals from here on again, of models that are built by intervals: a day or a time in UTC
    #[arg(long, value_name = "TIME", conflicts_with_all = ["full_refresh", "reload"])]
    pub from: Option<String>,
    /// Up to here [default: now]
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<String>,
    /// Publish what does not depend on a failure
    #[arg(long, conflicts_with = "no_publish")]
    pub partial: bool,
    /// Build and test, but leave readers with what they have
    #[arg(long)]
    pub no_publish: bool,
    /// Print what would be done and why, and build nothing
    #[arg(long, conflicts_with_all = ["partial", "no_publish", "reload"])]
    pub explain: bool,
    /// Publish though it breaks a promise, on a development target; elsewhere `kiln waive` says who agreed
    #[arg(long, value_name = "RULE:MODEL")]
    pub allow_breaking: Vec<String>,
}

/// `kiln test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kiln test -s revenue_by_day\n  kiln test -s unique_curated_orders_order_id"
)]
pub struct TestArgs {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
}

/// `kiln diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kiln diff --base origin/main            what a merge would change
  kiln diff --base published              what a run would change for readers
  kiln diff --base ../shop-before         another folder
  kiln diff --rules                       the rules, with their severities here
  kiln diff --data -s revenue_by_day      rows that came, went and changed, after `kiln run --no-publish`
  kiln diff --base origin/main --format github --also markdown=comment.md

A finding that is waived in `waivers/` is printed and does not count; `kiln waive` writes one.

Exit codes: 0 clean; 1 findings at or above `--fail-on`; 2 it could not be checked.")]
pub struct DiffArgs {
    /// A git commit, branch or tag; `published` for what readers see; or a folder with a `kiln.yml`
    #[arg(
        long,
        value_name = "REF|published|PATH",
        required_unless_present_any = ["rules", "data"],
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub base: Option<String>,
    /// The mildest severity that fails
    #[arg(long, value_name = "error|warning|note", default_value = "error", hide_possible_values = true)]
    pub fail_on: FailOn,
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// List the rules with their severities in this project
    #[arg(long)]
    pub rules: bool,
    /// Compare rows: those of what `kiln run --no-publish` has built with those that readers see
    #[arg(long, conflicts_with = "rules")]
    pub data: bool,
    /// The columns that tell rows apart, for all models, instead of what the project says
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "data")]
    pub key: Vec<String>,
    /// How to show it: text, json, markdown, sarif, junit, github, gitlab, or waiver for stubs of waivers
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub format: DiffFormat,
    /// Also write it to a file, such as `markdown=comment.md` or `sarif=kiln.sarif`; can be given again
    #[arg(long, value_name = "FORMAT=FILE", value_parser = also)]
    pub also: Vec<(DiffFormat, PathBuf)>,
}

/// `--format` of `kiln diff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people.
    Text,
    /// For programs; versioned.
    Json,
    /// One comment on a pull request.
    Markdown,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit's XML, for test reports.
    Junit,
    /// GitHub's annotations, and the job's summary.
    Github,
    /// GitLab's code quality report.
    Gitlab,
    /// Stubs of waivers for what counts.
    Waiver,
}

fn also(text: &str) -> Result<(DiffFormat, PathBuf), String> {
    let (format, path) = text.split_once('=').ok_or("write it as FORMAT=FILE")?;
    let format = DiffFormat::from_str(format, false)
        .map_err(|_| format!("there is no format `{format}`: it takes text, json, markdown, sarif, junit, github, gitlab, waiver"))?;
    if path.is_empty() {
        return Err("the file's name is missing".to_owned());
    }
    Ok((format, PathBuf::from(path)))
}

/// `kiln waive`.
#[derive(Debug, Args)]
#[command(after_help = "\
A waiver agrees to one change: this rule, this column, from this to that. It is printed with its finding all the same,
counts only while everybody agrees whose reader breaks, and ends with its last day or with the change's publish.

Examples:
  kiln waive --base origin/main --rule column-removed orders.email \\
    --reason 'GDPR erasure, DATA-431' --approved-by crm@example.com
  kiln waive --base origin/main --all --reason 'second version, agreed on 3 March'")]
pub struct WaiveArgs {
    /// What changes, as `kiln diff` calls it
    #[arg(value_name = "MODEL[.COLUMN]", required_unless_present = "all")]
    pub subject: Option<String>,
    /// The rule; needed where more than one finding is about it
    #[arg(long, value_name = "RULE", conflicts_with = "all")]
    pub rule: Option<String>,
    /// Every finding that counts and is not waived
    #[arg(long, conflicts_with = "subject")]
    pub all: bool,
    /// Why the change is right, and where it was agreed
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who agreed: the owners of the readers that break, or one who decides for the model; can be given again
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    pub approved_by: Vec<String>,
    /// The last day on which it holds [default: in 30 days]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub expires: Option<String>,
    /// What the change is compared with, as in `kiln diff`
    #[arg(long, value_name = "REF|published|PATH", value_parser = NonEmptyStringValueParser::new())]
    pub base: String,
    /// The mildest severity that counts
    #[arg(long, value_name = "error|warning|note", default_value = "error", hide_possible_values = true)]
    pub fail_on: FailOn,
    /// The file that it is added to [default: waivers/YYYY-MM-MODEL.yml]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `--fail-on` of `kiln diff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors.
    Error,
    /// Errors and warnings.
    Warning,
    /// Everything.
    Note,
}

/// `kiln ls`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kiln ls -s +revenue_by_day\n  kiln ls --resource-type test --output json"
)]
pub struct LsArgs {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Only these kinds: model, seed, source, test, unit_test, exposure
    #[arg(long, value_name = "TYPE", num_args = 1.., hide_possible_values = true)]
    pub resource_type: Vec<ResourceType>,
    /// What to print of each
    #[arg(long, value_name = "name|path|json", default_value = "name", hide_possible_values = true)]
    pub output: LsOutput,
}

/// A kind of thing in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResourceType {
    /// Models.
    Model,
    /// Seeds.
    Seed,
    /// Snapshots.
    Snapshot,
    /// Source tables.
    Source,
    /// Data tests.
    Test,
    /// Unit tests.
    #[value(name = "unit_test")]
    UnitTest,
    /// Consumers.
    Exposure,
}

/// `--output` of `kiln ls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LsOutput {
    /// Its name.
    Name,
    /// Its file.
    Path,
    /// One JSON object a line.
    Json,
}

/// `kiln show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kiln show revenue_by_day\n  kiln show revenue_by_day --schema\n  kiln show revenue_by_day --output csv --limit 100 > revenue.csv"
)]
pub struct ShowArgs {
    /// A model, a seed, or `schema.name`
    pub model: String,
    /// Rows to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: u64,
    /// Show the columns and types that the project's files give, without a database
    #[arg(long, conflicts_with = "limit")]
    pub schema: bool,
    /// How
    #[arg(long, value_name = "table|json|csv", default_value = "table", hide_possible_values = true)]
    pub output: ShowOutput,
}

/// `--output` of `kiln show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShowOutput {
    /// For people.
    Table,
    /// One object with columns and rows.
    Json,
    /// A header and rows.
    Csv,
}

/// `kiln lineage`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kiln lineage revenue_by_day.revenue               where it comes from and who reads it
  kiln lineage raw_orders.amount --downstream       what a change of it can reach
  kiln lineage revenue_by_day --format mermaid      a picture of all its columns")]
pub struct LineageArgs {
    /// `model` or `model.column`; a seed, `source.table` or a consumer too
    #[arg(value_name = "MODEL[.COLUMN]")]
    pub start: String,
    /// Only what it comes from
    #[arg(long, conflicts_with = "downstream")]
    pub upstream: bool,
    /// Only what is made of it
    #[arg(long)]
    pub downstream: bool,
    /// Most steps from one model to the next [default: all of them]
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// How
    #[arg(long, value_name = "text|json|mermaid", default_value = "text", hide_possible_values = true)]
    pub format: LineageFormat,
}

/// `--format` of `kiln lineage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LineageFormat {
    /// For people.
    Text,
    /// Edges and unknown columns.
    Json,
    /// A flowchart.
    Mermaid,
}

/// `kiln contract`.
#[derive(Debug, Args)]
pub struct ContractArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ContractCommand,
}

/// What to do with a contract.
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Write a first contract for a model, from its columns as compiled and what its tests say
    Init(ContractInitArgs),
    /// Write a model's contract as ODCS v3.1, with all that its properties promise
    Export(ContractExportArgs),
    /// Show what a model's contract promises, what Kiln checks of it, and what it cannot check
    Show(ContractShowArgs),
}

/// `kiln contract init`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file says what is true and promised now: exact types, `required` and keys where tests or constraints say so,
accepted values, ranges, references, descriptions, the owner. That a column has no NULL today is a remark and no
promise. Its status is `draft`: read it, then make it `active`.

Examples:
  kiln contract init revenue_by_day          writes contracts/revenue_by_day.odcs.yaml
  kiln contract init revenue_by_day -o -     prints it")]
pub struct ContractInitArgs {
    /// A model or a seed
    pub model: String,
    /// Where to write it, `-` for stdout [default: contracts/MODEL.odcs.yaml]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// `kiln contract export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a contract, what is written comes from the model's properties alone: `columns` with `data_type`,
`constraints`, `data_tests`, `description`, `tags`, `meta`. With one, it is the contract as version 3.1, whatever
version it was written in, and what only the properties say is added. What 3.1 has no key for is kept under
`customProperties`. Comments of a file are not kept.

Examples:
  kiln contract export orders
  kiln contract export orders -o contracts/orders.odcs.yaml --force")]
pub struct ContractExportArgs {
    /// A model or a seed
    pub model: String,
    /// Where to write it [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// `kiln contract show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kiln contract show revenue_by_day")]
pub struct ContractShowArgs {
    /// A model or a seed
    pub model: String,
}

/// `kiln docs`.
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DocsCommand,
}

/// What to do with the site.
#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// Write the site into a folder, or into one file
    Generate(DocsGenerateArgs),
    /// Show the site in a browser of this machine, and make it anew when the project changes
    Serve(DocsServeArgs),
}

/// `kiln docs generate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kiln docs generate --out public                          a folder for any web server, or to open from the disk
  kiln docs generate --single-file --out shop.html         one file to send to somebody
  kiln diff --format json > diff.json; kiln docs generate --diff diff.json")]
pub struct DocsGenerateArgs {
    /// The folder, or with `--single-file` the file, to write [default: `site` in the target folder]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Write one HTML file with everything in it
    #[arg(long)]
    pub single_file: bool,
    /// What it shows.
    #[command(flatten)]
    pub content: DocsContent,
}

/// `kiln docs serve`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kiln docs serve --no-open --port 9000")]
pub struct DocsServeArgs {
    /// The port on 127.0.0.1 [default: 8580, or one that is free]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Do not open a browser
    #[arg(long)]
    pub no_open: bool,
    /// What it shows.
    #[command(flatten)]
    pub content: DocsContent,
}

/// What the site shows.
#[derive(Debug, Clone, Args)]
pub struct DocsContent {
    /// Draw a change over the graph: what `kiln diff --format json` wrote
    #[arg(long, value_name = "FILE")]
    pub diff: Option<PathBuf>,
    /// Leave out all SQL
    #[arg(long)]
    pub no_sql: bool,
    /// Leave out values of the data: rejected rows, what errors quote
    #[arg(long)]
    pub no_samples: bool,
}

/// `kiln history`.
#[derive(Debug, Args)]
#[command(
    after_help = "All of it can be queried: the tables `release`, `run`, `build`, `test_result` and `load` in schema `_kiln`."
)]
pub struct HistoryArgs {
    /// Newest releases and runs to list
    #[arg(short = 'n', long = "limit", value_name = "N", default_value_t = 10)]
    pub limit: u64,
}

/// `kiln rollback`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kiln rollback      to the release before\n  kiln rollback 12   to release 12, if its builds are kept"
)]
pub struct RollbackArgs {
    /// The release to go back to [default: the one before]
    pub release: Option<i64>,
}

/// `kiln freshness`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kiln freshness\n  kiln freshness -s source:shop_api && kiln run\n\nWrites target/sources.json. Exit code 1: a source is older than `error_after`, or has no data."
)]
pub struct FreshnessArgs {
    /// Which sources, or models whose sources.
    #[command(flatten)]
    pub selection: Selection,
}

/// `kiln gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Name what would be dropped, and drop nothing
    #[arg(long)]
    pub dry_run: bool,
}
