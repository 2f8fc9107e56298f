//! Tables that stand once in all files, such as `[activation]`.

use super::keys::Keys;
use super::reader::Table;
use super::report::Problem;

/// The table `[key]` of the file that has it; a second one is told where the first is.
pub(super) fn table<'a>(tops: &[Table<'a>], key: &'static str, keys: &'static Keys) -> Option<Table<'a>> {
    let mut tables = tops.iter().filter_map(|top| top.table(key, keys));
    let first = tables.next()?;
    for again in tables {
        let message = format!("stands already at {}", again.report.line_of(first.at(), again.at()));
        again.report.add(Problem::error(again.at(), key, message).help("keep one of the two"));
    }
    Some(first)
}
