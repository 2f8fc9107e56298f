//! The connection to systemd: the system bus, asked again when it was lost.

use super::unit::{Properties, Unit, interface};
use std::time::Duration;
use tokio::sync::Mutex;
use zbus::fdo::PropertiesProxy;
use zbus::names::InterfaceName;
use zbus::zvariant::OwnedObjectPath;
use zbus::{Connection, connection};

/// systemd's own name on the bus.
pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// No answer for so long is none: systemd answers at once, or hangs.
const ANSWERS: Duration = Duration::from_secs(10);

/// What we use of org.freedesktop.systemd1.Manager.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1",
    gen_blocking = false
)]
pub(super) trait Manager {
    /// Only to subscribers systemd sends signals.
    fn subscribe(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;

    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String) -> zbus::Result<()>;
}

/// The bus, connected to when it is needed.
#[derive(Debug)]
pub(super) struct Bus {
    /// None: the system bus, wherever DBUS_SYSTEM_BUS_ADDRESS says that it is.
    address: Option<String>,
    connection: Mutex<Option<Connection>>,
}

impl Bus {
    pub(super) fn new(address: Option<String>) -> Self {
        Bus { address, connection: Mutex::new(None) }
    }

    /// The connection, which is made if there is none.
    pub(super) async fn connection(&self) -> zbus::Result<Connection> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref() {
            return Ok(connection.clone());
        }
        let builder = match &self.address {
            Some(address) => connection::Builder::address(address.as_str())?,
            None => connection::Builder::system()?,
        };
        let made = within(builder.method_timeout(ANSWERS).build()).await?;
        *slot = Some(made.clone());
        Ok(made)
    }

    /// That connection is broken: the next call makes another.
    pub(super) async fn lost(&self, connection: &Connection) {
        let mut slot = self.connection.lock().await;
        // Somebody else may have made a new one meanwhile.
        let same = |c: &Connection| {
            c.unique_name() == connection.unique_name() && c.server_guid() == connection.server_guid()
        };
        if slot.as_ref().is_some_and(same) {
            *slot = None;
        }
    }

    /// Does something with systemd, once more on a new connection if the one that there was is broken.
    pub(super) async fn with<T, F: Future<Output = zbus::Result<T>>>(
        &self,
        action: impl Fn(Connection) -> F,
    ) -> Result<T, String> {
        let first = self.connection().await.map_err(|e| words(&e))?;
        let error = match within(action(first.clone())).await {
            Ok(done) => return Ok(done),
            Err(e) if is_broken(&e) => e,
            Err(e) => return Err(words(&e)),
        };
        tracing::debug!("connection to systemd: {error}; trying a new one");
        self.lost(&first).await;
        let second = self.connection().await.map_err(|e| words(&e))?;
        within(action(second)).await.map_err(|e| words(&e))
    }
}

async fn within<T>(call: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    match tokio::time::timeout(ANSWERS, call).await {
        Ok(done) => done,
        Err(_) => Err(zbus::Error::InputOutput(std::sync::Arc::new(std::io::ErrorKind::TimedOut.into()))),
    }
}

/// Whether the connection, not systemd, is the trouble.
fn is_broken(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::InputOutput(_))
}

fn words(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, Some(text), _) => format!("systemd: {text} ({name})"),
        zbus::Error::MethodError(name, None, _) => format!("systemd: {name}"),
        other => format!("cannot reach systemd on the system bus: {other} (is dbus.service running?)"),
    }
}

/// Reads what systemd says about a unit now.
pub(super) async fn read(connection: Connection, name: &str) -> zbus::Result<Unit> {
    let connection = &connection;
    let path = ManagerProxy::new(connection).await?.load_unit(name).await?;
    let properties = properties(connection, &path).await?;
    let of_unit = all(&properties, "org.freedesktop.systemd1.Unit").await?;
    let of_type = match interface(name) {
        Some(interface) => all(&properties, interface).await?,
        None => Properties::new(),
    };
    Ok(Unit::new(&of_unit, &of_type))
}

/// The properties of a unit, as they are when they are asked for.
pub(super) async fn properties<'a>(
    connection: &Connection,
    path: &'a OwnedObjectPath,
) -> zbus::Result<PropertiesProxy<'a>> {
    PropertiesProxy::builder(connection).destination(SYSTEMD)?.path(path.as_ref())?.build().await
}

async fn all(properties: &PropertiesProxy<'_>, interface: &'static str) -> zbus::Result<Properties> {
    let interface = InterfaceName::from_static_str(interface)?;
    Ok(properties.get_all(interface).await?)
}
