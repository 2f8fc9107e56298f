//! Structured logs: journald fields under systemd, text elsewhere; the level can be changed at run time.

use std::io::IsTerminal;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Changes the level of the running daemon.
#[derive(Clone, Debug)]
pub(super) struct LogControl(reload::Handle<LevelFilter, Registry>);

impl LogControl {
    /// The present level, in lower case.
    pub(super) fn level(&self) -> String {
        self.0.with_current(|l| l.to_string().to_lowercase()).unwrap_or_default()
    }

    /// Sets the level from now on.
    pub(super) fn set(&self, level: Level) -> Result<(), String> {
        self.0.reload(LevelFilter::from_level(level)).map_err(|e| e.to_string())
    }
}

/// Starts logging. Called once.
pub(super) fn start(level: Level) -> LogControl {
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    let journal = under_systemd().then(|| tracing_journald::layer().ok()).flatten();
    let text = journal.is_none().then(|| {
        fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .with_target(false)
    });
    let journal =
        journal.map(|j| j.with_syslog_identifier("tandemd".into()).with_field_prefix(Some("TANDEM".into())));
    let layers = tracing_subscriber::registry()
        .with(filter)
        .with(journal.map(Layer::boxed))
        .with(text.map(Layer::boxed));
    // A second start could only come from a test in the same process; the first one stays.
    let _ = layers.try_init();
    LogControl(handle)
}

/// True if stderr is the journal's stream (systemd.exec(5), `$JOURNAL_STREAM`).
fn under_systemd() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stat) = nix::sys::stat::fstat(std::io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}
