//! What pg_controldata says of a data directory.

use super::position::Lsn;

/// What the server was doing when it last wrote its control file (`Database cluster state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClusterState {
    /// A primary that was shut down cleanly (or never started).
    ShutDown,
    /// A standby that was shut down cleanly.
    ShutDownInRecovery,
    /// A primary that was not.
    Primary,
    /// A standby that was not.
    Standby,
}

/// The control file, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Control {
    /// What it was doing.
    pub(super) state: ClusterState,
    /// Which cluster this is a copy of.
    pub(super) system: u64,
    /// The timeline that it was on.
    pub(super) timeline: u32,
    /// It had written, or replayed, at least up to here; after a clean shutdown exactly.
    pub(super) end: Lsn,
    /// pg_rewind is possible: `wal_log_hints` or checksums are on.
    pub(super) rewindable: bool,
    /// Bytes of a file of the write-ahead log.
    pub(super) segment: u64,
}

impl Control {
    /// Reads the output of pg_controldata (`LC_ALL=C`).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).ok_or_else(|| format!("pg_controldata says nothing of {name:?}"))
        };
        let number = |name: &str| {
            let text = field(name)?;
            text.parse::<u64>().map_err(|_| format!("pg_controldata says {text:?} of {name:?}"))
        };
        let timeline = |name: &str| Ok::<_, String>(u32::try_from(number(name)?).unwrap_or(u32::MAX));
        // The checkpoint is the last record of a clean shutdown, and begins here: the end is somewhere behind.
        let checkpoint = Lsn(field("Latest checkpoint location")?.parse::<Lsn>()?.0.saturating_add(1));
        let replayed = field("Minimum recovery ending location")?.parse::<Lsn>()?;
        let recovery = timeline("Min recovery ending loc's timeline")?;
        Ok(Control {
            state: state(field("Database cluster state")?)?,
            system: number("Database system identifier")?,
            timeline: timeline("Latest checkpoint's TimeLineID")?.max(recovery),
            end: checkpoint.max(replayed),
            rewindable: field("wal_log_hints setting")? == "on" || number("Data page checksum version")? != 0,
            segment: number("Bytes per WAL segment")?,
        })
    }
}

fn state(text: &str) -> Result<ClusterState, String> {
    Ok(match text {
        "shut down" | "starting up" => ClusterState::ShutDown,
        "shut down in recovery" => ClusterState::ShutDownInRecovery,
        "in production" | "shutting down" | "in crash recovery" => ClusterState::Primary,
        "in archive recovery" => ClusterState::Standby,
        other => return Err(format!("pg_controldata names a state that is not known here: {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As pg_controldata 15.18 writes it.
    fn output(state: &str, end: (&str, u32), hints: &str, checksums: u32) -> String {
        let (place, timeline) = end;
        format!(
            "pg_control version number:            1300\n\
             Catalog version number:               202209061\n\
             Database system identifier:           7710587768720382012\n\
             Database cluster state:               {state}\n\
             pg_control last modified:             Sat Nov 21 11:38:33 2026\n\
             Latest checkpoint location:           0/1500718\n\
             Latest checkpoint's REDO location:    0/1500718\n\
             Latest checkpoint's TimeLineID:       1\n\
             Latest checkpoint's PrevTimeLineID:   1\n\
             Minimum recovery ending location:     {place}\n\
             Min recovery ending loc's timeline:   {timeline}\n\
             wal_level setting:                    replica\n\
             wal_log_hints setting:                {hints}\n\
             Bytes per WAL segment:                16777216\n\
             Data page checksum version:           {checksums}\n"
        )
    }

    #[test]
    fn the_output_of_pg_controldata_is_read() {
        let c = Control::parse(&output("shut down", ("0/0", 0), "off", 0)).unwrap();
        let expected = Control {
            state: ClusterState::ShutDown,
            system: 7_710_587_768_720_382_012,
            timeline: 1,
            end: Lsn(0x0150_0719),
            rewindable: false,
            segment: 16 << 20,
        };
        assert_eq!(c, expected);
        let c = Control::parse(&output("in archive recovery", ("0/2000000", 2), "on", 0)).unwrap();
        assert_eq!((c.state, c.timeline, c.end), (ClusterState::Standby, 2, Lsn(0x0200_0000)));
    }

    #[test]
    fn states_and_what_a_rewind_needs() {
        for (text, expected) in [
            ("shut down", ClusterState::ShutDown),
            ("starting up", ClusterState::ShutDown),
            ("shut down in recovery", ClusterState::ShutDownInRecovery),
            ("shutting down", ClusterState::Primary),
            ("in crash recovery", ClusterState::Primary),
            ("in production", ClusterState::Primary),
            ("in archive recovery", ClusterState::Standby),
        ] {
            assert_eq!(Control::parse(&output(text, ("0/0", 0), "off", 0)).unwrap().state, expected);
        }
        for (hints, checksums, rewindable) in [("off", 0, false), ("on", 0, true), ("off", 1, true)] {
            let c = Control::parse(&output("shut down", ("0/0", 0), hints, checksums)).unwrap();
            assert_eq!(c.rewindable, rewindable, "{hints} {checksums}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let text = output("on holiday", ("0/0", 0), "off", 0);
        assert!(Control::parse(&text).unwrap_err().contains("on holiday"));
        let text = output("shut down", ("0/0", 0), "off", 0).replace("7710587768720382012", "many");
        assert!(Control::parse(&text).unwrap_err().contains("Database system identifier"));
        assert!(Control::parse("").unwrap_err().contains("Latest checkpoint location"));
    }
}
