//! Notices what happens to a unit.

use super::Shared;
use super::bus::{ManagerProxy, SYSTEMD, properties};
use crate::agents::{Noticed, Report};
use futures_lite::StreamExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zbus::Connection;
use zbus::fdo::DBusProxy;

/// Between two attempts to reach systemd.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows the unit for ever, also over restarts of the bus and re-executions of systemd.
pub(super) async fn follow(shared: Arc<Shared>) {
    loop {
        match shared.bus.connection().await {
            Ok(connection) => {
                if let Err(e) = listen(&shared, &connection).await {
                    tracing::debug!("{}: systemd is not heard: {e}", shared.name);
                    shared.bus.lost(&connection).await;
                }
            }
            Err(e) => tracing::debug!("{}: no connection to systemd: {e}", shared.name),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Until systemd was started anew (`Ok`) or the connection is broken.
async fn listen(shared: &Shared, connection: &Connection) -> zbus::Result<()> {
    let lost = || zbus::Error::Failure("the connection was closed".into());
    let bus = DBusProxy::new(connection).await?;
    let mut owners = bus.receive_name_owner_changed_with_args(&[(0, SYSTEMD)]).await?;
    let manager = ManagerProxy::new(connection).await?;
    // Refused if this connection has subscribed before.
    let _ = manager.subscribe().await;
    let path = manager.load_unit(&shared.unit).await?;
    let properties = properties(connection, &path).await?;
    let mut changes = properties.receive_properties_changed().await?;
    loop {
        look(shared).await.map_err(zbus::Error::Failure)?;
        tokio::select! {
            change = changes.next() => change.map(drop).ok_or_else(lost)?,
            owner = owners.next() => return owner.map(drop).ok_or_else(lost),
        }
    }
}

async fn look(shared: &Shared) -> Result<(), String> {
    let unit = shared.read().await?;
    let before = shared.note(&unit);
    let own = shared.steps.load(Ordering::Relaxed) > 0;
    if !own && before.is_some_and(|before| unit.fell_from(&before)) {
        // Nobody listens when the daemon ends.
        let _ = shared.reports.send(Report { resource: shared.name.clone(), what: Noticed::Look });
    }
    Ok(())
}
