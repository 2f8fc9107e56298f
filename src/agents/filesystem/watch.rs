//! Is it there, and well?

use super::device::{self, Device};
use super::mountinfo::{Mount, Table};
use super::{FilesystemAgent, Trouble, Try, failed, namespaces};
use crate::agents::Context;
use crate::resource::Level;
use std::path::Path;
use std::sync::atomic::Ordering;

/// A step of [`crate::resource::Step::Monitor`].
pub(super) async fn monitor(agent: &FilesystemAgent, context: &Context) -> Try<()> {
    if context.level == Level::Stopped {
        return match find(agent, context).await? {
            Level::Stopped => Ok(()),
            _ => failed(format!("{} is mounted", agent.settings.mount_point.display())),
        };
    }
    let point = agent.point(context).await?;
    let device = agent.device_or_path(context).await?;
    let table = agent.ask(context, "reading the mounts", namespaces::own_table).await?;
    let table = table.map_err(Trouble::Failed)?;
    let mount = judge(&table, &device, &point, &agent.settings.options).map_err(Trouble::Failed)?;
    let what = format!("{} (statfs)", point.display());
    let space = agent.ask(context, &what, move || rustix::fs::statvfs(&point)).await?;
    match space {
        Err(e) => failed(format!("{what}: {e}")),
        Ok(s) => {
            let unit = s.f_frsize;
            let used = s.f_blocks.saturating_sub(s.f_bfree).saturating_mul(unit);
            agent.describe(mount, Some((used, s.f_bavail.saturating_mul(unit))));
            Ok(())
        }
    }
}

/// Whether it is mounted.
pub(super) async fn find(agent: &FilesystemAgent, context: &Context) -> Try<Level> {
    let point = agent.point(context).await?;
    let table = agent.ask(context, "reading the mounts", namespaces::own_table).await?;
    let table = table.map_err(Trouble::Failed)?;
    let Some(there) = table.on(&point) else { return Ok(Level::Stopped) };
    // Only now does it matter which device is meant: a DRBD device that is not primary cannot even be read.
    let device = agent.device_or_path(context).await?;
    if !device.is_shown_by(there, &table) {
        return Ok(Level::Stopped);
    }
    agent.describe(there, None);
    Ok(Level::Started)
}

/// What is wrong with the mount, if anything is.
pub(super) fn judge<'a>(
    table: &'a Table,
    device: &Device,
    point: &Path,
    options: &[String],
) -> Result<&'a Mount, String> {
    let Some(mount) = table.on(point) else {
        return Err(format!("{} is not mounted", point.display()));
    };
    if !device.is_shown_by(mount, table) {
        return Err(format!(
            "on {} not {} is mounted but {} ({})",
            point.display(),
            device.path().display(),
            mount.source.display(),
            mount.fstype
        ));
    }
    if mount.has_given_up() {
        return Err(format!(
            "the kernel has shut {} down after an error: see dmesg, then fsck {}",
            point.display(),
            device.path().display()
        ));
    }
    if mount.is_read_only() && !device::wants_read_only(options) {
        return Err(format!(
            "{} is read-only and should be writable: if nobody remounted it, the kernel did after an error, or the \
             device is write-protected; see dmesg, then fsck {}",
            point.display(),
            device.path().display()
        ));
    }
    Ok(mount)
}

impl FilesystemAgent {
    /// It is mounted: keeps what people may want to know of it.
    pub(super) fn describe(&self, mount: &Mount, space: Option<(u64, u64)>) {
        let word = |name: &str, value: String| (name.to_owned(), value);
        let mut details = vec![
            word("device", mount.source.display().to_string()),
            word("mount_point", mount.point.display().to_string()),
            word("type", mount.fstype.clone()),
            word("options", mount.options.join(",")),
        ];
        if let Some((used, free)) = space {
            details.extend([word("used", size(used)), word("free", size(free))]);
        }
        self.seen(|s| s.details = details);
        self.in_use.store(true, Ordering::Relaxed);
    }
}

/// `1.5 GiB`.
fn size(bytes: u64) -> String {
    let mut unit = (bytes as f64, "B");
    for name in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if unit.0 < 1024.0 {
            break;
        }
        unit = (unit.0 / 1024.0, name);
    }
    match unit.1 {
        "B" => format!("{bytes} B"),
        name => format!("{:.1} {name}", unit.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::filesystem::mountinfo::DeviceNumber;

    fn verdict(line: &str, options: &[&str]) -> String {
        let number = DeviceNumber { major: 147, minor: 0 };
        let device = Device::Block { path: "/dev/drbd0".into(), number };
        let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        judge(&Table::parse(line), &device, Path::new("/d"), &options).err().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = "1 0 147:0 / /d rw,noatime - ext4 /dev/drbd0 rw";
        assert_eq!(verdict(good, &["noatime"]), "");
        assert_eq!(verdict("", &[]), "/d is not mounted");
        let other = "1 0 7:0 / /d rw - xfs /dev/loop0 rw";
        assert_eq!(verdict(other, &[]), "on /d not /dev/drbd0 is mounted but /dev/loop0 (xfs)");
        let fallen = "1 0 147:0 / /d rw - ext4 /dev/drbd0 ro,errors=remount-ro";
        assert!(verdict(fallen, &[]).contains("is read-only and should be writable"));
        assert_eq!(verdict(fallen, &["ro"]), "");
        let shut = "1 0 147:0 / /d rw - ext4 /dev/drbd0 rw,emergency_ro";
        assert!(verdict(shut, &["ro"]).contains("shut /d down"));
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(10 << 40), "10.0 TiB");
    }
}
