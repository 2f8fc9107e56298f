//! `ha`: the pair.

mod args;
mod render;

pub(super) use args::HaCommand;

use super::exit::Failure;
use super::text::{print, print_value};
use crate::control::api::{Outcome, PairCommand, PairRegistration, PairReport};
use crate::control::client::Client;
use crate::pair::What;
use args::{HaAct, Side};
use hyper::Method;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A registration is over by then, one way or the other.
const REGISTRATION: Duration = Duration::from_secs(60);
/// A key is a line of text.
const LONGEST_KEY: u64 = 4096;

pub(super) async fn run(client: &Client, command: HaCommand) -> Result<(), Failure> {
    match command {
        HaCommand::Status { json: true } => print_value(&pairs(client).await?),
        HaCommand::Status { json: false } => print(&render::status(&pairs(client).await?)),
        HaCommand::Failover(act) => order(client, act.act, What::Failover { force: act.force }).await,
        HaCommand::Failback(act) => order(client, act.act, What::Failback { force: act.force }).await,
        HaCommand::ForceFailover(act) => order(client, act, What::Drill).await,
        HaCommand::Switchover(act) => order(client, act, What::Switchover).await,
        HaCommand::Standby { mode, act } => {
            order(client, act, What::Standby(mode == super::args::Switch::On)).await
        }
        HaCommand::Clear(act) => order(client, act, What::Clear).await,
        HaCommand::Keep { side, act } => order(client, act, What::Keep { own: side == Side::Local }).await,
        HaCommand::Authkey { file, pair } => register(client, &file, pair, false).await,
        HaCommand::Register { authkey_file, pair } => register(client, &authkey_file, pair, true).await,
    }
}

async fn pairs(client: &Client) -> Result<Vec<PairReport>, Failure> {
    Ok(client.get("/v1/pairs").await?)
}

async fn order(client: &Client, act: HaAct, what: What) -> Result<(), Failure> {
    let command = PairCommand { pair: act.pair, id: act.id, what };
    let done: Outcome = client.change(Method::POST, "/v1/pairs/order", &command).await?;
    print(&format!("{}\n", done.message))
}

async fn register(client: &Client, file: &Path, pair: Option<String>, asks: bool) -> Result<(), Failure> {
    let command = PairRegistration { pair, key: read_key(file).map_err(Failure::File)?, asks };
    let client = client.clone().patient(REGISTRATION);
    let done: Outcome = client.change(Method::POST, "/v1/pairs/register", &command).await?;
    print(&format!("{}\n", done.message))
}

/// The key, from a file that nobody else can read.
fn read_key(file: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("cannot read the key from {}: {e}", file.display());
    let about = std::fs::metadata(file).map_err(failed)?;
    if about.mode() & 0o077 != 0 {
        return Err(format!(
            "others can read the key in {} (mode {:o}): chmod 600 it, and change the key",
            file.display(),
            about.mode() & 0o777
        ));
    }
    if about.len() > LONGEST_KEY {
        return Err(format!("{} is no key: it has {} bytes", file.display(), about.len()));
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "Secret-1\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_key(&file).unwrap_err();
        assert!(refused.contains("mode 640") && !refused.contains("Secret"), "{refused}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_key(&file).as_deref(), Ok("Secret-1"));
    }
}
