//! The command line: what can be typed, and nothing of what it does.

use std::num::NonZeroUsize;
use std::path::PathBuf;

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
    /// For people.
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
    /// Render and bind every model and test, and infer types and lineage, without a database
    Compile(CompileArgs),
    /// Load, build, test and publish
    #[command(visible_alias = "build")]
    Run(RunArgs),
    /// Test what is published
    Test(TestArgs),
    /// Compare with a commit, a release or a folder: what changes, who breaks, what is owed
    Diff(DiffArgs),
    /// List what is in the project
    Ls(LsArgs),
    /// Show columns and first rows of what is published
    Show(ShowArgs),
    /// Follow columns to what they come from and to what is made of them
    Lineage(LineageArgs),
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

Exit codes: 0 clean; 1 findings at or above `--fail-on`; 2 it could not be checked.")]
pub struct DiffArgs {
    /// A git commit, branch or tag; `published` for what readers see; or a folder with a `kiln.yml`
    #[arg(long, value_name = "REF|published|PATH", required_unless_present_any = ["rules", "data"])]
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
