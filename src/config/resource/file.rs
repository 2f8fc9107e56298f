//! `kind = "file"`: free space.

use super::common::Defaults;
use super::model::{FileResource, Space};
use super::space;
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::Problem;
use std::path::PathBuf;

/// Stopping and starting it makes no room.
pub(super) fn defaults() -> Defaults {
    Defaults { restart_attempts: 0, ..Defaults::default() }
}

pub(super) fn read(table: &Table<'_>) -> Option<FileResource> {
    let path = table.need("path", "an absolute path").and_then(|v| read_path(&v));
    let space = |key| table.get(key).and_then(|v: Value<'_>| space::read(&v));
    let (warn_free, min_free) = (space("warn_free"), space("min_free"));
    if table.get("warn_free").is_none() && table.get("min_free").is_none() {
        let key = format!("{}: min_free", table.place);
        let problem = Problem::error(table.at(), key, "is missing");
        table.report.add(problem.allowed("`min_free`, `warn_free` or both"));
    }
    let order = match (warn_free, min_free) {
        (Some(Space::Bytes(warn)), Some(Space::Bytes(min))) => warn > min,
        (Some(Space::Percent(warn)), Some(Space::Percent(min))) => warn > min,
        // The size of the file system decides.
        _ => true,
    };
    if !order && let Some(value) = table.get("warn_free") {
        value.add(value.refuse("would come no earlier than the failure").allowed("more than `min_free`"));
    }
    Some(FileResource { path: path?, warn_free, min_free })
}

fn read_path(value: &Value<'_>) -> Option<PathBuf> {
    // The root is the most common one.
    if value.as_string() == Some("/") { Some(PathBuf::from("/")) } else { names::path(value) }
}
