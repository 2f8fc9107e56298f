//! From files to a [`Config`].

use super::cross::{self, Drafts};
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::keys;
use super::model::{Config, Tracks};
use super::pair::PairDrafts;
use super::reader::Table;
use super::report::{At, Problem, Report, Source, printable};
use super::tracks::{Built, TrackDraft};
use super::{group, instance, interface, node, resource, tracks};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// A configuration that can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// What the files say.
    pub config: Config,
    /// What is probably not meant so.
    pub warnings: Vec<Diagnostic>,
    /// The files that were read, in the order in which they count.
    pub files: Vec<PathBuf>,
    /// Where each resource's table begins: file, line, column.
    places: BTreeMap<String, Place>,
    /// The same of each fence.
    fence_places: BTreeMap<String, Place>,
}

impl Loaded {
    /// Something about a key of a resource that the text alone does not show, such as what an OCF agent's meta-data says
    /// of its parameters, at the place of the resource's table.
    pub fn about(&self, severity: Severity, resource: &str, key: &str, message: &str) -> Diagnostic {
        let place = self.places.get(resource);
        found(severity, place, format!("resource \"{resource}\": {key}"), message)
    }

    /// As [`Loaded::about`], of a fence: what its agent says.
    pub fn about_fence(&self, severity: Severity, fence: &str, message: &str) -> Diagnostic {
        found(severity, self.fence_places.get(fence), format!("fence \"{fence}\": agent"), message)
    }
}

/// A place in the text: file, line, column.
type Place = (PathBuf, usize, usize);

fn found(severity: Severity, place: Option<&Place>, key: String, message: &str) -> Diagnostic {
    let (file, line, column) = place.cloned().unwrap_or_default();
    let message = printable(message);
    Diagnostic { severity, file, line, column, key, message, found: None, allowed: None, help: None }
}

/// What [`parse`] cannot find in the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The node's name where `[node]` gives none.
    pub host_name: String,
}

impl Default for Options {
    fn default() -> Self {
        Options { host_name: "localhost".to_owned() }
    }
}

/// Reads a configuration file and the files `conf.d/*.toml` beside it, those sorted by name.
///
/// # Errors
///
/// All mistakes in all files, or a file that cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    load_with(path, None)
}

/// As [`load()`] would read them, were `new` one of the files: for who is about to write it.
///
/// # Errors
///
/// As those of [`load()`].
pub fn load_as(path: &Path, new: Source) -> Result<Loaded, Diagnostics> {
    load_with(path, Some(new))
}

/// Where the files are that are read after the main file `path`.
pub fn beside(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join("conf.d")
}

fn load_with(path: &Path, new: Option<Source>) -> Result<Loaded, Diagnostics> {
    let mut unreadable = Vec::new();
    let beside = beside(path);
    let mut paths = further(&beside).unwrap_or_else(|error| {
        unreadable.push(unread(&beside, &error));
        Vec::new()
    });
    paths.extend(new.iter().map(|s| s.path.clone()));
    paths.sort();
    paths.dedup();
    paths.insert(0, path.to_owned());
    let mut sources = Vec::new();
    for path in paths {
        if let Some(new) = new.as_ref().filter(|s| s.path == path) {
            sources.push(new.clone());
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(text) => sources.push(Source { path, text }),
            Err(error) => unreadable.push(unread(&path, &error)),
        }
    }
    let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let options = host_name.map_or_else(Options::default, |host_name| Options { host_name });
    let result = check(&sources, &options, unreadable.is_empty());
    if unreadable.is_empty() {
        return result;
    }
    // What is missing may be in the file that could not be read; what is wrong in the others still counts.
    unreadable.extend(result.err().map(|d| d.0).unwrap_or_default());
    Err(Diagnostics(unreadable))
}

/// The files of `conf.d`, sorted by name; hidden ones are left out, and the directory may be missing.
fn further(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.ends_with(b".toml") && !name.starts_with(b".") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn unread(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: path.to_owned(),
        line: 0,
        column: 0,
        key: String::new(),
        message: format!("cannot be read: {error}"),
        found: None,
        allowed: None,
        help: None,
    }
}

/// Reads configuration texts as [`load`] reads files. Pure: equal texts give equal results.
///
/// # Errors
///
/// All mistakes in all texts, in order; warnings are among them. A text that is no TOML gives one error
/// and is then left out, so that references to it are not reported as mistakes of the others.
pub fn parse(sources: &[Source], options: &Options) -> Result<Loaded, Diagnostics> {
    check(sources, options, true)
}

/// `whole`: nothing that a reference may mean is missing from `sources`.
fn check(sources: &[Source], options: &Options, whole: bool) -> Result<Loaded, Diagnostics> {
    let report = Report::new(sources);
    let parsed: Vec<_> = sources.iter().map(|source| DeTable::parse(&source.text)).collect();
    let mut tops = Vec::new();
    for (source, result) in parsed.iter().enumerate() {
        match result {
            Ok(map) => tops.push(Table::top(&report, source, map.get_ref(), &keys::TOP)),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                report.add(Problem::error(
                    At { source, offset },
                    "",
                    format!("TOML syntax: {}", first_line(error.message())),
                ));
            }
        }
    }
    let (node, default_version) = node::read(&tops, &options.host_name);
    let mut drafts = Drafts {
        instances: tops.iter().flat_map(|top| instance::read_all(top, default_version)).collect(),
        groups: tops.iter().flat_map(group::read_all).collect(),
        tracks: tops.iter().flat_map(tracks::read_all).collect(),
        interfaces: tops.iter().flat_map(interface::read_all).collect(),
        garp_groups: tops.iter().flat_map(interface::read_groups).collect(),
        resources: tops.iter().flat_map(resource::read_all).collect(),
        activation: resource::read_activation(&tops),
        pairs: PairDrafts::read(&tops),
    };
    if whole && tops.len() == sources.len() {
        cross::check(&report, &mut drafts);
    }
    drop(tops);
    let named = drafts.resources.iter().filter_map(|r| Some((r.name.as_ref()?.value.clone(), r.at)));
    let places = named.map(|(name, at)| (name, report.place(at))).collect();
    let named = drafts.pairs.fences.iter().filter_map(|f| f.name.as_ref());
    let fence_places = named.map(|name| (name.value.clone(), report.place(name.at))).collect();
    let found = report.finish();
    if found.counts().0 > 0 {
        return Err(found);
    }
    let config = Config {
        node,
        instances: drafts.instances.into_iter().filter_map(|i| i.built).collect(),
        groups: drafts.groups.into_iter().filter_map(|g| g.built).collect(),
        tracks: sorted(drafts.tracks),
        interfaces: drafts.interfaces.into_iter().filter_map(|i| i.built).collect(),
        garp_groups: drafts.garp_groups.into_iter().filter_map(|g| g.built).collect(),
        resources: drafts.resources.into_iter().filter_map(|r| r.built).collect(),
        activation: drafts.activation.map(|a| a.built),
        pairs: drafts.pairs.pairs.into_iter().filter_map(|p| p.built).collect(),
        pair_server: drafts.pairs.server.map(|s| s.built),
        witness: drafts.pairs.witness.and_then(|w| w.built),
        fences: drafts.pairs.fences.into_iter().filter_map(|f| f.built).collect(),
        witness_server: drafts.pairs.witness_server.map(|w| w.built),
    };
    let config = config.tie().settle_pairs();
    let files = sources.iter().map(|s| s.path.clone()).collect();
    Ok(Loaded { config, warnings: found.0, files, places, fence_places })
}

fn first_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn sorted(drafts: Vec<TrackDraft>) -> Tracks {
    let mut tracks = Tracks::default();
    for built in drafts.into_iter().filter_map(|t| t.built) {
        match built {
            Built::Script(script) => tracks.scripts.push(script),
            Built::Process(process) => tracks.processes.push(process),
            Built::File(file) => tracks.files.push(file),
            Built::Bfd(session, _) => tracks.bfd.push(session),
        }
    }
    tracks
}
