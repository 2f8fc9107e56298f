//! `config check`, `config show --file`, `resource graph --config`: the daemon's own parser, without the daemon.

use super::exit::Failure;
use super::resource::{self, GraphForm};
use super::text::{Style, print};
use crate::agents;
use crate::config::{self, Config, Diagnostic, Diagnostics, Loaded, Severity};
use crate::fence::Fence;
use std::path::Path;

pub(super) async fn check(file: &Path, json: bool) -> Result<(), Failure> {
    let loaded = match config::load(file) {
        Ok(loaded) => with_agents(loaded).await,
        Err(mistakes) => Err(mistakes),
    };
    if let Ok(loaded) = &loaded
        && let Some(text) = not_run(&loaded.config)
    {
        eprintln!("{}: warning: {text}", file.display());
    }
    let (mistakes, files) = match loaded {
        Ok(loaded) => (loaded.warnings, Some(loaded.files)),
        Err(mistakes) if json => (mistakes.0, None),
        Err(mistakes) => return Err(Failure::Config(format!("\n{mistakes}").trim_start().to_owned())),
    };
    if json {
        print(&to_json(&mistakes, files.is_some())?)?;
    } else {
        for warning in &mistakes {
            eprintln!("{warning}");
        }
        let count = files.as_ref().map_or(0, Vec::len);
        let more = if count > 1 { format!(" (and {} in conf.d)", count - 1) } else { String::new() };
        print(&format!("{}{more}: ok\n", file.display()))?;
    }
    match files {
        Some(_) => Ok(()),
        None => Err(Failure::Config(format!("{}: not usable", file.display()))),
    }
}

/// Why a daemon would not run with it, although there is no mistake in it.
pub(super) fn not_run(config: &Config) -> Option<&'static str> {
    config.not_run_yet()
}

/// Adds what the agents of resources and fences say of their settings.
async fn with_agents(mut loaded: Loaded) -> Result<Loaded, Diagnostics> {
    let mut found = Vec::new();
    for resource in &loaded.config.resources {
        let (severity, texts) = match agents::check(resource).await {
            Ok(warnings) => (Severity::Warning, warnings),
            Err(errors) => (Severity::Error, errors),
        };
        found.extend(texts.iter().map(|text| loaded.about(severity, &resource.name, "agent", text)));
    }
    for fence in &loaded.config.fences {
        let (severity, texts) = match Fence::check(fence).await {
            Ok(warnings) => (Severity::Warning, warnings),
            Err(errors) => (Severity::Error, errors),
        };
        found.extend(texts.iter().map(|text| loaded.about_fence(severity, &fence.name, text)));
    }
    loaded.warnings.extend(found);
    match loaded.warnings.iter().any(|d| d.severity == Severity::Error) {
        true => Err(Diagnostics(loaded.warnings)),
        false => Ok(loaded),
    }
}

fn to_json(mistakes: &[Diagnostic], ok: bool) -> Result<String, Failure> {
    let value = serde_json::json!({ "ok": ok, "diagnostics": mistakes });
    serde_json::to_string_pretty(&value)
        .map(|text| text + "\n")
        .map_err(|e| Failure::Output(std::io::Error::other(e)))
}

pub(super) fn show_file(file: &Path) -> Result<(), Failure> {
    let loaded = config::load(file).map_err(|mistakes| Failure::Config(mistakes.to_string()))?;
    print(&config::effective_toml(&loaded.config))
}

/// What would stand on what.
pub(super) fn graph(file: &Path, form: GraphForm) -> Result<(), Failure> {
    let loaded = config::load(file).map_err(|mistakes| Failure::Config(mistakes.to_string()))?;
    if loaded.config.resources.is_empty() && form == GraphForm::Text {
        return print(resource::NONE);
    }
    print(&resource::graph_of(&loaded.config.resources, form, Style::of_stdout()))
}
