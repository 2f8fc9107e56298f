//! `[[sync_group]]`.

use super::keys;
use super::model::SyncGroup;
use super::names;
use super::reader::Table;
use super::report::{Problem, Spot};
use super::tracks::{self, RefDraft};

/// A group as far as it could be read.
pub(super) struct GroupDraft {
    pub(super) name: Option<Spot<String>>,
    pub(super) members: Vec<Spot<String>>,
    pub(super) refs: Vec<RefDraft>,
    /// Whole, but for its tracks.
    pub(super) built: Option<SyncGroup>,
}

/// Reads all `[[sync_group]]` tables of a file.
pub(super) fn read_all(top: &Table<'_>) -> Vec<GroupDraft> {
    top.tables("sync_group", &keys::GROUP).iter().map(read).collect()
}

fn read(table: &Table<'_>) -> GroupDraft {
    let name = names::own_name(table);
    let members = members(table);
    let refs = tracks::references(table);
    let notify = tracks::notify(table);
    let built = name.as_ref().map(|name| SyncGroup {
        name: name.value.clone(),
        members: members.iter().map(|m| m.value.clone()).collect(),
        tracks: Vec::new(),
        notify,
    });
    GroupDraft { name, members, refs, built }
}

fn members(table: &Table<'_>) -> Vec<Spot<String>> {
    let mut members: Vec<Spot<String>> = Vec::new();
    let Some(value) = table.need("group", "a list of names of instances") else { return members };
    let Some(items) = value.list("names of instances") else { return members };
    if items.is_empty() {
        value.add(value.refuse("lists no instance").allowed("at least one name of an instance"));
    }
    for item in items {
        let Some(name) = item.string() else { continue };
        if members.iter().any(|m| m.value == name) {
            let problem = Problem::error(item.at(), item.key.clone(), "is listed twice");
            table.report.add(problem.found(item.shown()));
        } else {
            members.push(item.spot(name.to_owned()));
        }
    }
    members
}
