//! From nothing to mounted.

use super::device::{self, Before, Device, before_mount};
use super::fsck::{self, Checked, last_lines};
use super::mountinfo::Table;
use super::{FilesystemAgent, Trouble, Try, failed, namespaces, watch};
use crate::agents::Context;
use crate::config::Fsck;
use std::path::{Path, PathBuf};

/// Checks the file system as it is configured, and mounts it.
pub(super) async fn start(agent: &FilesystemAgent, context: &Context) -> Try<()> {
    let device = agent.device(context, true).await?;
    if is_there(agent, context, &device).await? {
        return Ok(());
    }
    let wanted = agent.settings.mount_point.clone();
    let point = agent.ask(context, "preparing the mount point", move || prepare(&wanted)).await?;
    let (point, made) = point.map_err(Trouble::Failed)?;
    if made {
        agent.event(false, format!("made the mount point {}", point.display()));
    }
    check(agent, context, &device).await?;
    mount(agent, context, &device, &point).await?;
    verify(agent, context, device, point).await
}

/// True if there is nothing to do. An error names what is in the way.
async fn is_there(agent: &FilesystemAgent, context: &Context, device: &Device) -> Try<bool> {
    let point = agent.point(context).await?;
    let options = &agent.settings.options;
    let table = agent.ask(context, "reading the mounts", namespaces::own_table).await?;
    let table = table.map_err(Trouble::Failed)?;
    match before_mount(&table, device, &point, options).map_err(Trouble::Failed)? {
        Before::Free => Ok(false),
        Before::There(_) => {
            watch::judge(&table, device, &point, options).map_err(Trouble::Failed)?;
            Ok(true)
        }
    }
}

/// The mount point without links, made if it alone is missing; true if it was made.
fn prepare(path: &Path) -> Result<(PathBuf, bool), String> {
    let trouble = |what: String| format!("mount point {}: {what}", path.display());
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_dir() => return Err(trouble("it is not a directory".into())),
        Ok(_) => return Ok((super::locate(path), false)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(trouble(e.to_string())),
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    if !parent.is_dir() {
        return Err(trouble(format!("{} is missing: mkdir -p {}", parent.display(), path.display())));
    }
    std::fs::create_dir(path).map_err(|e| trouble(format!("cannot be made: {e}")))?;
    Ok((super::locate(path), true))
}

/// fsck(8), where it is wanted. Only what has a type that can be read is checked.
async fn check(agent: &FilesystemAgent, context: &Context, device: &Device) -> Try<()> {
    let (Device::Block { path, .. } | Device::Image(path)) = device else { return Ok(()) };
    if agent.settings.fsck == Fsck::Never {
        return Ok(());
    }
    let path = path.display().to_string();
    let fstype = match &agent.settings.fstype {
        Some(fstype) => fstype.clone(),
        None => type_of(agent, context, &path).await?,
    };
    let read_only = device::wants_read_only(&agent.settings.options);
    if !fsck::is_wanted(agent.settings.fsck, &fstype, read_only) {
        return Ok(());
    }
    let said = agent.tool(context, "fsck", &["-T", "-t", &fstype, "-a", &path]).await?;
    match fsck::judge(&path, said.status, &format!("{}\n{}", said.stdout, said.stderr)) {
        Checked::Clean => Ok(()),
        Checked::Bad(text) => failed(text),
        Checked::Mended(text) => {
            agent.event(true, text);
            Ok(())
        }
    }
}

/// What the device holds, read from itself and no cache.
async fn type_of(agent: &FilesystemAgent, context: &Context, path: &str) -> Try<String> {
    let said = agent.tool(context, "blkid", &["-p", "-s", "TYPE", "-o", "value", path]).await?;
    match said.stdout.trim() {
        "" => failed(format!(
            "{path} holds no file system that can be read (blkid: exit status {}{}): is it the right device, and if it \
             is DRBD's, primary here?",
            said.status,
            last_lines(&said.stderr)
        )),
        fstype => Ok(fstype.to_owned()),
    }
}

async fn mount(agent: &FilesystemAgent, context: &Context, device: &Device, point: &Path) -> Try<()> {
    let options = agent.settings.options.join(",");
    let source = match device::is_tag(&agent.settings.device) {
        true => device.path().display().to_string(),
        false => agent.settings.device.clone(),
    };
    let point = point.display().to_string();
    let mut args = Vec::new();
    if let Some(fstype) = &agent.settings.fstype {
        args.extend(["-t", fstype]);
    }
    if !options.is_empty() {
        args.extend(["-o", &options]);
    }
    args.extend([source.as_str(), point.as_str()]);
    let said = agent.tool(context, "mount", &args).await?;
    if said.status != 0 {
        return failed(format!("mount {source} on {point} failed{}", last_lines(&said.stderr)));
    }
    Ok(())
}

/// Mounted is what the kernel says is mounted, writable if it should be, and not only for tandemd.
async fn verify(agent: &FilesystemAgent, context: &Context, device: Device, point: PathBuf) -> Try<()> {
    let tables = || (namespaces::own_table(), namespaces::table_of_init());
    let (own, init) = agent.ask(context, "reading the mounts", tables).await?;
    let own = own.map_err(Trouble::Failed)?;
    let verdict = watch::judge(&own, &device, &point, &agent.settings.options)
        .map(|mount| agent.describe(mount, None))
        .and_then(|()| seen_by_all(init.as_ref(), &device, &point));
    match verdict {
        Ok(()) => Ok(()),
        Err(text) => {
            // What is not as it should be is not left behind. If this fails too, the next stop says why.
            agent.tool(context, "umount", &[&point.display().to_string()]).await?;
            failed(text)
        }
    }
}

/// A unit with `ProtectSystem=` or the like has mounts of its own, and a database that another unit starts would write
/// into the empty directory below.
fn seen_by_all(init: Option<&Table>, device: &Device, point: &Path) -> Result<(), String> {
    match init {
        Some(table) if !table.on(point).is_some_and(|m| device.is_shown_by(m, table)) => Err(format!(
            "mounted on {}, but nobody except tandemd would see it, as it runs with mounts of its own: in its systemd \
             unit, leave out ProtectSystem=, ProtectHome=, ReadWritePaths=, PrivateTmp= and what else makes a mount \
             namespace",
            point.display()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_made_if_only_it_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        let point = real.join("data");
        assert_eq!(prepare(&point), Ok((point.clone(), true)));
        assert_eq!(prepare(&point), Ok((point, false)));
        let deep = real.join("a/b");
        let e = prepare(&deep).unwrap_err();
        assert!(e.ends_with(&format!("a is missing: mkdir -p {}", deep.display())), "{e}");
        std::fs::write(real.join("file"), "").unwrap();
        assert!(prepare(&real.join("file")).unwrap_err().contains("not a directory"));
    }

    #[test]
    fn a_mount_that_only_tandemd_sees_is_an_error() {
        let device = Device::Other("none".into());
        let seen = Table::parse("1 0 0:9 / /d rw - tmpfs none rw");
        assert_eq!(seen_by_all(Some(&seen), &device, Path::new("/d")), Ok(()));
        assert_eq!(seen_by_all(None, &device, Path::new("/d")), Ok(()));
        let e = seen_by_all(Some(&Table::default()), &device, Path::new("/d")).unwrap_err();
        assert!(e.contains("ProtectSystem="), "{e}");
    }
}
