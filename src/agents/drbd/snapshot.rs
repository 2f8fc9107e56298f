//! Keeping a copy of data that is about to be overwritten: a snapshot of the logical volume below DRBD.
//!
//! A snapshot of ours carries the LVM tag `tandemd`; only such a one is ever removed, and only the one that was made before a
//! resync, once that has ended well. Those of a recovery are the operator's.

use super::tools::{Leash, Tools, Trouble};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

const TAG: &str = "tandemd";
/// `lvs` only reads.
const READ: Duration = Duration::from_secs(10);

/// A logical volume, and whether it is a thin one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logical {
    /// Its volume group.
    pub group: String,
    /// Its name there.
    pub name: String,
    /// Thin: a snapshot takes no space of its own.
    pub thin: bool,
}

impl Logical {
    /// From `lvs --noheadings --separator : -o vg_name,lv_name,pool_lv`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.lines().map(str::trim).find(|l| !l.is_empty())?.split(':');
        let (group, name) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let thin = fields.next().is_some_and(|pool| !pool.is_empty());
        (!group.is_empty() && !name.is_empty()).then_some(Logical { group, name, thin })
    }
}

/// What a snapshot is taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Until the resync has ended well.
    Resync,
    /// The writes of the side that loses a split brain, thrown away at this time.
    Recovery(Timestamp),
}

/// The snapshot's name: `tandemd-r0-0-before-resync`, `tandemd-r0-0-20261121T120000Z`.
pub fn name(resource: &str, volume: usize, purpose: Purpose) -> String {
    let what = match purpose {
        Purpose::Resync => "before-resync".to_owned(),
        Purpose::Recovery(at) => at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string(),
    };
    format!("{TAG}-{resource}-{volume}-{what}")
}

/// Of what a snapshot is taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Name in DRBD.
    pub resource: String,
    /// Of these disks only; empty: of all.
    pub only: Vec<String>,
}

impl Subject {
    /// All disks of a resource.
    pub fn all(resource: &str) -> Self {
        Subject { resource: resource.to_owned(), only: Vec::new() }
    }

    /// The disks by `drbdadm sh-ll-dev`, numbered, without those that are not meant.
    async fn disks(&self, tools: &Tools, leash: &Leash) -> Result<Vec<(usize, String)>, Trouble> {
        let text = tools.ask("drbdadm", &["sh-ll-dev", &self.resource], leash, READ).await?;
        let disks = text.lines().map(str::trim).enumerate().filter(|(_, l)| !l.is_empty() && *l != "none");
        let meant = |disk: &str| self.only.is_empty() || self.only.iter().any(|o| o == disk);
        Ok(disks.filter(|(_, l)| meant(l)).map(|(n, l)| (n, l.to_owned())).collect())
    }
}

async fn logical(tools: &Tools, disk: &str, leash: &Leash) -> Result<Option<Logical>, Trouble> {
    let words = ["--noheadings", "--separator", ":", "-o", "vg_name,lv_name,pool_lv", disk];
    match tools.ask("lvs", &words, leash, READ).await {
        Ok(text) => Ok(Logical::parse(&text)),
        Err(Trouble::Cancelled) => Err(Trouble::Cancelled),
        // Not LVM, or no LVM here.
        Err(Trouble::Refused(_)) => Ok(None),
    }
}

/// Takes a snapshot of every disk of the resource, or of none: a refusal leaves nothing of this call behind. One that is
/// there already under the name is left as it is, as it is older and so worth more. The snapshots, `GROUP/NAME`.
pub async fn take(
    tools: &Tools,
    subject: &Subject,
    purpose: Purpose,
    leash: &Leash,
) -> Result<Vec<String>, Trouble> {
    let mut origins = Vec::new();
    for (volume, disk) in subject.disks(tools, leash).await? {
        let Some(origin) = logical(tools, &disk, leash).await? else {
            return Err(Trouble::says(format!("{disk} is no LVM volume, so no snapshot of it can be kept")));
        };
        origins.push((volume, origin));
    }
    if origins.is_empty() {
        return Err(Trouble::says("drbdadm sh-ll-dev names no disk of which a snapshot could be kept"));
    }
    let (mut all, mut made): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (volume, origin) in &origins {
        let snapshot = name(&subject.resource, *volume, purpose);
        let whole = format!("{}/{snapshot}", origin.group);
        if !is_ours(tools, &whole, leash).await? {
            if let Err(trouble) = create(tools, origin, &snapshot, leash).await {
                for one in &made {
                    remove_one(tools, one, leash).await;
                }
                return Err(trouble);
            }
            made.push(whole.clone());
        }
        all.push(whole);
    }
    Ok(all)
}

async fn create(tools: &Tools, origin: &Logical, snapshot: &str, leash: &Leash) -> Result<(), Trouble> {
    let of = format!("{}/{}", origin.group, origin.name);
    // A snapshot that is not thin and as large as its origin never overflows; a smaller one is better than none.
    let sizes: &[&[&str]] = if origin.thin { &[&[]] } else { &[&["-l", "100%ORIGIN"], &["-l", "20%ORIGIN"]] };
    let mut last = Trouble::Cancelled;
    for size in sizes {
        let mut words = vec!["--snapshot", "--yes", "--addtag", TAG, "--name", snapshot];
        words.extend_from_slice(size);
        words.push(&of);
        match tools.run("lvcreate", &words, leash).await {
            Ok(_) => return Ok(()),
            Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
            Err(refused) => last = refused,
        }
    }
    let free = "make space in the volume group";
    Err(Trouble::says(format!("no snapshot of {of} can be made: {}; {free}", last.words())))
}

/// It is there and carries our tag.
async fn is_ours(tools: &Tools, whole: &str, leash: &Leash) -> Result<bool, Trouble> {
    match tools.ask("lvs", &["--noheadings", "-o", "lv_tags", whole], leash, READ).await {
        Ok(text) => Ok(text.split([',', ' ', '\n']).any(|t| t.trim() == TAG)),
        Err(Trouble::Cancelled) => Err(Trouble::Cancelled),
        Err(Trouble::Refused(_)) => Ok(false),
    }
}

async fn remove_one(tools: &Tools, whole: &str, leash: &Leash) {
    // It stays, then; its name says what it is.
    let _ = tools.run("lvremove", &["--yes", whole], leash).await;
}

/// Removes what [`take`] made before a resync that has ended well.
pub async fn remove_after_resync(tools: &Tools, subject: &Subject, leash: &Leash) -> Result<(), Trouble> {
    for (volume, disk) in &subject.disks(tools, leash).await? {
        let Some(origin) = logical(tools, disk, leash).await? else { continue };
        let whole = format!("{}/{}", origin.group, name(&subject.resource, *volume, Purpose::Resync));
        if is_ours(tools, &whole, leash).await? {
            remove_one(tools, &whole, leash).await;
        }
    }
    Ok(())
}
