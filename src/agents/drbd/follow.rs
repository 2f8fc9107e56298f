//! `drbdsetup events2`, followed for as long as the agent lives.

use super::events::Applied;
use super::picture::Picture;
use super::state::Inner;
use super::tools::Tools;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

/// Before it is started again: the module may have been unloaded.
const AGAIN: Duration = Duration::from_secs(2);
/// The same, if it does not stay.
const AGAIN_AT_MOST: Duration = Duration::from_secs(30);
/// It has stayed.
const STAYED: Duration = Duration::from_secs(60);
/// Lines that belong together come within this.
const SETTLE: Duration = Duration::from_millis(50);
/// No longer is waited for quiet.
const SETTLE_AT_MOST: Duration = Duration::from_millis(500);

/// Follows for ever; to be aborted.
pub(super) async fn follow(inner: Arc<Inner>) {
    let mut pause = AGAIN;
    loop {
        let began = Instant::now();
        if inner.tools.has_module() {
            once(&inner).await;
        }
        pause = if began.elapsed() > STAYED || !inner.tools.has_module() { AGAIN } else { pause };
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AT_MOST);
    }
}

/// One run of the program, to its end.
async fn once(inner: &Inner) {
    let Ok(mut child) = start(&inner.tools) else { return };
    if let Some(out) = child.stdout.take() {
        read(inner, BufReader::new(out).lines()).await;
    }
    // It ended, or lost lines: then it is ended, and the next one starts with the whole picture.
    let _ = child.start_kill();
    let _ = child.wait().await;
}

fn start(tools: &Tools) -> std::io::Result<Child> {
    let mut command = Command::new(tools.program("drbdsetup"));
    command
        .args(["events2", "--timestamps", "--statistics"])
        .env("LC_ALL", "C")
        .env(Tools::ENV.0, Tools::ENV.1)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    crate::net::realtime::plain(&mut command);
    command.spawn()
}

async fn read(inner: &Inner, mut lines: Lines<BufReader<ChildStdout>>) {
    let mut picture = Picture::new(inner.drbd());
    let (mut whole, mut dirty) = (false, None::<Instant>);
    loop {
        let wait =
            dirty.map_or(Duration::MAX, |since| SETTLE.min(SETTLE_AT_MOST.saturating_sub(since.elapsed())));
        let Ok(line) = tokio::time::timeout(wait, lines.next_line()).await else {
            dirty = None;
            inner.learn(picture.clone());
            continue;
        };
        let Ok(Some(line)) = line else { break };
        let applied = picture.apply(&line);
        if whole && applied == Applied::Changed {
            inner.linked(&picture);
        }
        match applied {
            Applied::Changed if whole => dirty = dirty.or_else(|| Some(Instant::now())),
            Applied::DumpEnded => {
                whole = true;
                dirty = Some(Instant::now());
            }
            Applied::Helper(name) if name == "split-brain" => inner.helper_called(),
            Applied::Skipped => break,
            _ => {}
        }
    }
}
