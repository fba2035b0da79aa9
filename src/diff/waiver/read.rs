//! Reads a file of `waivers/`: a list of waivers, strictly. What is not understood must not silence anything.

use std::sync::Arc;

use jiff::civil::Date;

use super::{DIGITS, Waiver};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, SourceFile};
use crate::diff::Rule;
use crate::yaml::{self, Fields, Kind, Yaml};

/// Reads a file's waivers. One that is not sound is an error and is left out.
pub fn read(file: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Vec<Waiver> {
    let Some(yaml) = yaml::parse(file, diagnostics) else { return Vec::new() };
    let items = match &yaml.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null => &[],
        _ => {
            diagnostics.push(
                Diagnostic::error("wrong-type", format!("waivers must be a list, not {}", yaml.kind_name()))
                    .at(&yaml.at, "")
                    .help("begin each one with `- rule:`; `kiln waive` writes them"),
            );
            &[]
        }
    };
    let mut waivers: Vec<Waiver> = Vec::new();
    for item in items {
        let Some(waiver) = read_one(item, diagnostics) else { continue };
        let same = |other: &&Waiver| {
            other.subject() == waiver.subject() && other.fingerprint.value == waiver.fingerprint.value
        };
        match waivers.iter().find(same) {
            Some(first) => diagnostics.push(
                Diagnostic::error("waiver-duplicate", "this change is waived twice")
                    .at(&waiver.fingerprint.at, "the second one")
                    .related(&first.fingerprint.at, "the first one")
                    .help("keep one of them"),
            ),
            None => waivers.push(waiver),
        }
    }
    waivers
}

fn read_one(yaml: &Yaml, diagnostics: &mut Diagnostics) -> Option<Waiver> {
    let mut fields = Fields::new("a waiver", yaml);
    if yaml.as_map().is_none() {
        diagnostics.extend(fields.finish());
        return None;
    }
    let rule = fields.required_string("rule").and_then(|text| rule_of(text, &mut fields));
    let model = fields.required_string("model");
    let column = fields.string("column");
    let from = fields.string("from");
    let fingerprint =
        fields.required_string("fingerprint").and_then(|text| fingerprint_of(text, &mut fields));
    let reason = fields.required_string("reason").filter(|reason| {
        let said = !reason.value.trim().is_empty();
        if !said {
            fields.problem(
                Diagnostic::error("waiver-reason", "a waiver needs a reason")
                    .at(&reason.at, "")
                    .help("say why the change is right, and where it was agreed"),
            );
        }
        said
    });
    let approved_by = fields.strings("approved_by").into_iter().map(|name| name.value).collect();
    let expires = fields.required_string("expires").and_then(|text| date_of(text, &mut fields));
    let problems = fields.finish();
    let sound = !problems.has_errors();
    diagnostics.extend(problems);
    let waiver = Waiver {
        rule: rule?,
        model: model?,
        column,
        from,
        fingerprint: fingerprint?,
        reason: reason?.value,
        approved_by,
        expires: expires?,
        at: yaml.at.clone(),
    };
    sound.then_some(waiver)
}

fn rule_of(text: Located<String>, fields: &mut Fields<'_>) -> Option<Located<Rule>> {
    let rule = Rule::from_slug(&text.value);
    if rule.is_none() {
        fields.problem(
            Diagnostic::error("waiver-rule", format!("there is no rule `{}`", text.value))
                .at(&text.at, "")
                .suggest(&text.value, Rule::ALL.iter().map(|rule| rule.slug()))
                .help("`kiln diff --rules` lists them"),
        );
    }
    rule.map(|rule| Located::new(rule, text.at))
}

fn fingerprint_of(text: Located<String>, fields: &mut Fields<'_>) -> Option<Located<String>> {
    let digits = text.value.to_ascii_lowercase();
    let good = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !good {
        fields.problem(
            Diagnostic::error(
                "waiver-fingerprint",
                format!("a fingerprint has at least {DIGITS} digits from 0 to f"),
            )
            .at(&text.at, "")
            .help("`kiln diff --format waiver` prints it"),
        );
    }
    good.then(|| Located::new(digits, text.at))
}

fn date_of(text: Located<String>, fields: &mut Fields<'_>) -> Option<Located<Date>> {
    match text.value.parse::<Date>() {
        Ok(date) => Some(Located::new(date, text.at)),
        Err(_) => {
            fields.problem(
                Diagnostic::error("waiver-expires", format!("`{}` is no day", text.value))
                    .at(&text.at, "")
                    .help("write it as `2026-12-31`"),
            );
            None
        }
    }
}
