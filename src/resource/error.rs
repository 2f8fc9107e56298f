//! What may be wrong with settings.

use super::settings::Need;
use super::types::Name;

/// A mistake in [`super::Settings`]. `a -> b` means: a depends on b.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GraphError {
    /// Two resources or groups have this name.
    #[error("{0}: more than one resource or group has this name")]
    Duplicate(Name),
    /// No resource and no group has the name that is depended on.
    #[error("{from} -> {need}: there is no resource or group {}", need.name)]
    Unknown {
        /// The resource or group.
        from: Name,
        /// The entry of its `depend_on`.
        need: Need,
    },
    /// `:promoted` of something that cannot be promoted.
    #[error("{from} -> {need}: {resource} cannot be promoted")]
    NotPromotable {
        /// The resource or group.
        from: Name,
        /// The entry of its `depend_on`.
        need: Need,
        /// What the entry means: the resource, or the last member of the group.
        resource: Name,
    },
    /// Resources that need each other.
    #[error("{}: nothing of this could ever start", path(.0))]
    Cycle(
        /// The way round; the first name is also the last.
        Vec<Name>,
    ),
    /// A group without members.
    #[error("{0}: the group has no members")]
    EmptyGroup(Name),
    /// A member that is no resource.
    #[error("{group}: the member {member} is no resource")]
    NoMember {
        /// The group.
        group: Name,
        /// The member's name.
        member: Name,
    },
    /// A `run_forever` resource needs something that is not always there.
    #[error(
        "{from} -> {need}: {from} is run_forever, but what it needs is not there while this node is standby"
    )]
    RunForever {
        /// The resource.
        from: Name,
        /// What it needs.
        need: Need,
    },
}

fn path(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(" -> ")
}
