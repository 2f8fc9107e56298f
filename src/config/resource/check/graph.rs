//! Mistakes in the graph, found by its core and told where they were written.

use crate::config::report::{At, Problem, Report, Spot, did_you_mean, nearest};
use crate::config::resource::common::ResourceDraft;
use crate::config::resource::model::ResourceKind;
use crate::resource::{GraphError, Group, Name, Need, Plan, ResourceSettings, Settings, StopFailure};

/// Records what [`Plan::new`] says against the graph.
pub(super) fn check(report: &Report<'_>, resources: &[ResourceDraft]) {
    let named = Named::new(resources);
    for error in Plan::new(named.settings()).err().unwrap_or_default() {
        if let Some(problem) = named.problem(error) {
            report.add(problem);
        }
    }
}

/// The first resource or group of each name.
struct Named<'a>(Vec<(Name, &'a ResourceDraft)>);

impl<'a> Named<'a> {
    fn new(resources: &'a [ResourceDraft]) -> Self {
        let mut all: Vec<(Name, &ResourceDraft)> = Vec::new();
        for draft in resources {
            let Some(name) = draft.name.as_ref().map(|n| Name::from(n.value.as_str())) else { continue };
            if all.iter().all(|(other, _)| *other != name) {
                all.push((name, draft));
            }
        }
        Named(all)
    }

    fn find(&self, name: &Name) -> Option<&'a ResourceDraft> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, draft)| *draft)
    }

    /// One that could not be read whole may be anything that somebody needs.
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        for (name, draft) in &self.0 {
            let depend_on = draft.needs.iter().map(|n| n.value.clone()).collect();
            if let Some(members) = &draft.members {
                let members = members.iter().map(|m| Name::from(m.value.as_str())).collect();
                settings.groups.push(Group { name: name.clone(), members, depend_on });
                continue;
            }
            let whole = draft.built.as_ref().and_then(|b| b.settings(StopFailure::Block));
            settings.resources.push(whole.unwrap_or_else(|| ResourceSettings {
                promotable: true,
                depend_on,
                ..ResourceSettings::new(name.clone())
            }));
        }
        settings
    }

    fn problem(&self, error: GraphError) -> Option<Problem> {
        let whole = error.to_string();
        match error {
            // Reported where names are compared, and where members are read.
            GraphError::Duplicate(_) | GraphError::EmptyGroup(_) => None,
            GraphError::Unknown { from, need } => {
                let spot = self.written(&from, &need.name)?;
                let known = self.0.iter().map(|(n, _)| n.as_str());
                let problem = Problem::error(spot.at, spot.key, "no resource has this name");
                let help = did_you_mean(need.name.as_str(), known);
                Some(problem.found(format!("\"{need}\"")).help_if(help))
            }
            GraphError::NotPromotable { from, need, resource } => {
                let spot = self.written(&from, &need.name)?;
                let problem = Problem::error(spot.at, spot.key, format!("{resource} cannot be promoted"));
                Some(problem.found(format!("\"{need}\"")).help(self.how_to_promote(&resource)))
            }
            GraphError::Cycle(names) => {
                let spot = self.cycle_place(&names)?;
                Some(Problem::error(spot.at, spot.key, whole).help("remove one of these dependencies"))
            }
            GraphError::NoMember { group, member } => Some(self.no_member(&group, &member)?),
            GraphError::RunForever { from, need } => Some(self.run_forever(&from, &need)?),
        }
    }

    /// Where `from`, or a group that it is in, says that it needs `name`.
    fn written(&self, from: &Name, name: &Name) -> Option<Place> {
        let direct = self.find(from).and_then(|d| need_place(d, name));
        let member = |d: &&ResourceDraft| {
            d.members.as_ref().is_some_and(|m| m.iter().any(|m| m.value == from.as_str()))
        };
        let groups = || self.0.iter().map(|(_, d)| *d).filter(member);
        direct
            .or_else(|| groups().find_map(|d| need_place(d, name)))
            // Within a group a member needs the one before it.
            .or_else(|| groups().find_map(|d| member_place(d, from)))
            .or_else(|| self.find(from).map(|d| Place { at: d.at, key: d.place.clone() }))
    }

    /// The first dependency on the way round that is written, not implied by a group.
    fn cycle_place(&self, names: &[Name]) -> Option<Place> {
        let steps = || names.iter().zip(names.iter().skip(1));
        let last_of = |group: &ResourceDraft| {
            group.members.as_ref().and_then(|m| m.last()).map(|m| Name::from(m.value.as_str()))
        };
        let through = |from: &Name, to: &Name| {
            let draft = self.find(from)?;
            let group = self.0.iter().find(|(_, d)| last_of(d).as_ref() == Some(to));
            need_place(draft, to).or_else(|| need_place(draft, &group?.0))
        };
        let direct = steps().find_map(|(from, to)| through(from, to));
        direct.or_else(|| steps().find_map(|(from, to)| self.written(from, to)))
    }

    fn how_to_promote(&self, name: &Name) -> &'static str {
        match self.find(name).and_then(ResourceDraft::kind) {
            Some(ResourceKind::Ocf(_)) => "set promotable = true there, or remove :promoted",
            Some(ResourceKind::Exec(_)) => "give it `promote` and `demote`, or remove :promoted",
            _ => "remove :promoted",
        }
    }

    fn no_member(&self, group: &Name, member: &Name) -> Option<Problem> {
        let place = member_place(self.find(group)?, member)?;
        let is_group = self.find(member).is_some();
        let message = if is_group { "is a group" } else { "no resource has this name" };
        let resources = self.0.iter().filter(|(_, d)| d.members.is_none()).map(|(n, _)| n.as_str());
        let help = if is_group {
            Some("list its members here, or let this group depend on it".to_owned())
        } else {
            nearest(member.as_str(), resources).map(|near| format!("did you mean `{near}`?"))
        };
        let problem = Problem::error(place.at, place.key, message).found(format!("\"{member}\""));
        Some(problem.help_if(help))
    }

    fn run_forever(&self, from: &Name, need: &Need) -> Option<Problem> {
        let last = |d: &ResourceDraft| Some(Name::from(d.members.as_ref()?.last()?.value.as_str()));
        let needed = self.find(&need.name)?;
        let needed = last(needed).and_then(|name| self.find(&name)).unwrap_or(needed);
        // What could not be read whole may be run_forever.
        if !need.promoted && needed.built.is_none() {
            return None;
        }
        let place = self.written(from, &need.name)?;
        let (message, help) = if need.promoted {
            let message =
                format!("{from} is run_forever, but nothing is promoted while this node is standby");
            (message, "remove :promoted, or set run_forever = false".to_owned())
        } else {
            let message =
                format!("{from} is run_forever, but {} is down while this node is standby", need.name);
            (message, format!("set run_forever = true in {} as well, or false in {from}", need.name))
        };
        Some(Problem::error(place.at, place.key, message).found(format!("\"{need}\"")).help(help))
    }
}

/// A place in a file, and the key there.
struct Place {
    at: At,
    key: String,
}

impl<T> From<&Spot<T>> for Place {
    fn from(spot: &Spot<T>) -> Self {
        Place { at: spot.at, key: spot.key.clone() }
    }
}

fn need_place(draft: &ResourceDraft, name: &Name) -> Option<Place> {
    draft.needs.iter().find(|n| n.value.name == *name).map(Place::from)
}

fn member_place(draft: &ResourceDraft, name: &Name) -> Option<Place> {
    draft.members.as_ref()?.iter().find(|m| m.value == name.as_str()).map(Place::from)
}
