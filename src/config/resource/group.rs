//! `kind = "group"`.

use super::common::one_or_more;
use super::model::{GroupResource, ResourceKind};
use crate::config::reader::Table;
use crate::config::report::Spot;

pub(super) fn read(table: &Table<'_>) -> Vec<Spot<String>> {
    let value = table.need("members", "names of resources, such as [\"database\", \"portal\"]");
    value.map(|v| one_or_more(&v, "names of resources")).unwrap_or_default()
}

/// A group without members is none; that was reported.
pub(super) fn built(members: &[Spot<String>]) -> Option<ResourceKind> {
    let members: Vec<_> = members.iter().map(|m| m.value.clone()).collect();
    (!members.is_empty()).then_some(ResourceKind::Group(GroupResource { members }))
}
