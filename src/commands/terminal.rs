//! The terminal: the one writer. Everything that a person or a program reads goes through it, so that secrets are masked,
//! colours are right and a reader that went away is no failure.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Map, Value, json};

use crate::cli::{Colour, Global, LogFormat};
use crate::diagnostic::Style;
use crate::error::{Error, Result};

/// Environment variables whose values are never shown, as in `env_var`.
const SECRET_PREFIXES: [&str; 2] = ["DBT_ENV_SECRET", "KILN_SECRET"];

/// The version of the layout of events as JSON.
pub const LOG_VERSION: u32 = 1;

/// What stands for a secret.
const MASK: &str = "*****";

/// Where a command's words go.
pub struct Terminal {
    /// How to report.
    pub format: LogFormat,
    /// How much.
    pub volume: Volume,
    /// How progress is shown.
    pub progress: Progress,
    /// The signs at hand.
    pub signs: &'static Signs,
    /// Whether GitHub Actions reads along.
    pub forge: Forge,
    colour_out: ColorChoice,
    colour_err: ColorChoice,
    secrets: Mutex<Vec<String>>,
    bars: MultiProgress,
    run_id: Mutex<Option<String>>,
    log_to: LogTo,
    spoken: AtomicBool,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// All of it.
    Normal,
    /// Only what went wrong.
    Quiet,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Live bars.
    Bars,
    /// A line for each finished model.
    Lines,
}

/// Who else reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// Nobody.
    None,
    /// GitHub Actions.
    GitHub,
}

/// Where `--log-format json` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTo {
    /// The log is the command's data.
    Stdout,
    /// Stdout has other data.
    Stderr,
}

/// Signs before a line. The words beside them say the same.
#[derive(Debug)]
pub struct Signs {
    /// It is good.
    pub good: &'static str,
    /// It failed.
    pub bad: &'static str,
    /// It was not tried.
    pub skipped: &'static str,
    /// It is worth a look.
    pub warn: &'static str,
    /// It arrived.
    pub loaded: &'static str,
    /// Between parts of a line.
    pub dot: &'static str,
    /// Between parts of a sentence.
    pub dash: &'static str,
    /// Frames of a spinner; the last one is its end.
    pub spinner: &'static str,
}

const UNICODE: Signs = Signs {
    good: "✓",
    bad: "✗",
    skipped: "–",
    warn: "!",
    loaded: "↓",
    dot: "·",
    dash: "—",
    spinner: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ",
};

const ASCII: Signs = Signs {
    good: "+",
    bad: "x",
    skipped: "-",
    warn: "!",
    loaded: ">",
    dot: "-",
    dash: "-",
    spinner: "|/-\\ ",
};

/// A colour or a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Fine.
    Green,
    /// Wrong.
    Red,
    /// Worth a look.
    Yellow,
    /// Important.
    Bold,
    /// Not important.
    Dim,
}

impl Terminal {
    /// Reads the options, the environment and what stdout and stderr are.
    pub fn new(global: &Global, log_to: LogTo) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let colour = |is_terminal: bool| colour(global.color, &env, is_terminal && !dumb);
        let is_terminal = std::io::stderr().is_terminal();
        let volume = if global.quiet { Volume::Quiet } else { Volume::Normal };
        let bars = is_terminal
            && !dumb
            && !set("CI")
            && volume == Volume::Normal
            && global.log_format == LogFormat::Text;
        let secrets = std::env::vars_os()
            .filter(|(name, _)| {
                SECRET_PREFIXES.iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
            })
            .map(|(_, value)| value.to_string_lossy().into_owned())
            .collect();
        let terminal = Self {
            format: global.log_format,
            volume,
            progress: if bars { Progress::Bars } else { Progress::Lines },
            signs: if is_utf8(&env) { &UNICODE } else { &ASCII },
            forge: if env("GITHUB_ACTIONS").as_deref() == Some("true") { Forge::GitHub } else { Forge::None },
            colour_out: colour(std::io::stdout().is_terminal()),
            colour_err: colour(is_terminal),
            secrets: Mutex::new(Vec::new()),
            bars: MultiProgress::with_draw_target(if bars {
                ProgressDrawTarget::stderr_with_hz(12)
            } else {
                ProgressDrawTarget::hidden()
            }),
            run_id: Mutex::new(None),
            log_to,
            spoken: AtomicBool::new(false),
        };
        terminal.hide(secrets);
        terminal
    }

    /// Values that must not be shown from now on.
    pub fn hide(&self, secrets: Vec<String>) {
        let mut known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets {
            // In JSON a secret may be written with escapes.
            let escaped = Value::String(secret.clone()).to_string();
            let escaped = escaped.trim_matches('"').to_owned();
            for form in [secret, escaped] {
                if !form.trim().is_empty() && !known.contains(&form) {
                    known.push(form);
                }
            }
        }
        // The longest first: one secret may be a part of another.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut masked = Cow::Borrowed(text);
        for secret in secrets.iter() {
            masked = Cow::Owned(masked.replace(secret, MASK));
        }
        masked
    }

    /// Text for a file, with secrets masked.
    pub fn for_file<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.masked(text)
    }

    /// Whether text for a file needs no masking.
    pub fn hides_nothing(&self) -> bool {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Data: to stdout.
    ///
    /// # Errors
    /// Whoever read it went away, or it cannot be written.
    pub fn data(&self, text: &str) -> Result<()> {
        let mut out = AutoStream::new(std::io::stdout().lock(), self.colour_out);
        let written = out.write_all(self.masked(text).as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Error::BrokenPipe,
            _ => Error::machine(format!("cannot write to stdout: {error}")),
        })
    }

    /// Talk: to stderr, unless it shall be quiet or JSON is spoken.
    pub fn talk(&self, text: &str) {
        if self.volume == Volume::Normal && self.format == LogFormat::Text {
            self.stderr(text);
        }
    }

    /// What went wrong: to stderr, also when it shall be quiet.
    pub fn complain(&self, text: &str) {
        if self.format == LogFormat::Text {
            self.stderr(text);
        }
    }

    /// An empty line between two parts; none before the first.
    pub fn gap(&self) {
        if self.spoken.load(Ordering::Relaxed) && self.format == LogFormat::Text {
            self.stderr("\n");
        }
    }

    /// To stderr in any case, above the bars if there are some.
    pub fn stderr(&self, text: &str) {
        self.spoken.store(true, Ordering::Relaxed);
        let text = self.masked(text);
        self.bars.suspend(|| {
            let mut err = AutoStream::new(std::io::stderr().lock(), self.colour_err);
            // There is nobody left to tell when stderr is gone.
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        });
    }

    /// One line of the JSON log, if JSON is spoken.
    pub fn log(&self, event: &str, node: Option<&str>, fields: Value) {
        if self.format != LogFormat::Json {
            return;
        }
        let run_id = self.run_id.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut line = Map::new();
        line.insert("v".into(), json!(LOG_VERSION));
        line.insert("at".into(), json!(super::words::now()));
        line.insert("run_id".into(), json!(run_id));
        line.insert("event".into(), json!(event));
        line.insert("node".into(), json!(node));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let text = Value::Object(line).to_string() + "\n";
        match self.log_to {
            // A log that nobody reads any more must not stop a run.
            LogTo::Stdout => drop(self.data(&text)),
            LogTo::Stderr => self.stderr(&text),
        }
    }

    /// The run that JSON lines belong to from now on.
    pub fn set_run(&self, run_id: &str) {
        *self.run_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(run_id.to_owned());
    }

    /// Where live bars are drawn.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// How diagnostics are rendered on stderr. Where there is no colour the writer takes it out.
    pub fn style(&self) -> Style {
        match self.colour_err {
            ColorChoice::Never => Style::Plain,
            _ => Style::Colour,
        }
    }

    /// Coloured text for stderr.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.style() == Style::Plain {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Green => "32",
            Paint::Red => "1;31",
            Paint::Yellow => "33",
            Paint::Bold => "1",
            Paint::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// `--color` > CLICOLOR_FORCE > NO_COLOR > whether it is a terminal.
fn colour(asked: Colour, env: &dyn Fn(&str) -> Option<String>, is_terminal: bool) -> ColorChoice {
    let forced = env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    let refused = env("NO_COLOR").is_some_and(|value| !value.is_empty());
    let wanted = match asked {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => forced || (!refused && is_terminal),
    };
    if wanted { ColorChoice::Always } else { ColorChoice::Never }
}

/// Whether the locale can show more than ASCII. Systems without locales can.
fn is_utf8(env: &dyn Fn(&str) -> Option<String>) -> bool {
    if cfg!(any(windows, target_os = "macos")) {
        return true;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_wins_over_the_environment_and_the_environment_over_the_terminal() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }
        };
        let both = env(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]);
        let no = env(&[("NO_COLOR", "1")]);
        let empty = env(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "0")]);
        assert_eq!(colour(Colour::Never, &both, true), ColorChoice::Never);
        assert_eq!(colour(Colour::Auto, &both, false), ColorChoice::Always);
        assert_eq!(colour(Colour::Always, &no, false), ColorChoice::Always);
        assert_eq!(colour(Colour::Auto, &no, true), ColorChoice::Never);
        assert_eq!(colour(Colour::Auto, &empty, true), ColorChoice::Always);
        assert_eq!(colour(Colour::Auto, &empty, false), ColorChoice::Never);
    }

    #[test]
    fn the_first_locale_that_is_set_decides() {
        let of = |all: Option<&'static str>, lang: &'static str| {
            is_utf8(&move |name| match name {
                "LC_ALL" => all.map(str::to_owned),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(of(None, "en_GB.UTF-8"));
        assert!(of(Some(""), "C.utf8"));
        if cfg!(target_os = "linux") {
            assert!(!of(Some("C"), "en_GB.UTF-8"));
            assert!(!of(None, ""));
        }
    }
}
