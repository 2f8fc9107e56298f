//! `debug replay`: what the pairs decided, run through this version's rules.

use super::exit::Failure;
use super::text::{print, print_value, wrap};
use crate::events::{LIMIT, Reader, Want};
use crate::pair::{Batch, DECISIONS, Difference, Findings, Replay, Said};
use std::path::Path;

/// Reads and runs them; the daemon may run or not.
pub(super) fn replay(state_dir: &Path, dir: Option<&Path>, json: bool) -> Result<(), Failure> {
    let own = state_dir.join(DECISIONS);
    let dir = dir.unwrap_or(&own);
    let failed =
        |e: std::io::Error| Failure::File(format!("the inputs in {} cannot be read: {e}", dir.display()));
    std::fs::metadata(dir).map_err(failed)?;
    let (mut replay, mut after, mut damaged) = (Replay::default(), 0, 0);
    loop {
        let page = Reader::new(dir).read::<Batch>(Want::After(after), LIMIT, |_| true).map_err(failed)?;
        page.records.into_iter().for_each(|r| replay.run(r.value));
        damaged += page.damaged;
        if !page.more || page.last_id <= after {
            break;
        }
        after = page.last_id;
    }
    let found = replay.found();
    match json {
        true => print_value(found)?,
        false => print(&render(found, damaged))?,
    }
    match found.differing {
        0 => Ok(()),
        n => Err(Failure::NotThere(format!("{n} decisions differ from what was decided then"))),
    }
}

fn render(f: &Findings, damaged: u64) -> String {
    let mut out = format!("{} inputs, {} decisions: ", f.inputs, f.decisions);
    out += match f.differing {
        0 => "all come out as they did\n",
        1 => "one comes out otherwise\n",
        _ => "some come out otherwise\n",
    };
    if f.skipped > 0 {
        let text = format!("{} inputs were left out: what was before them is gone, or differed", f.skipped);
        out += &wrap("", &text);
    }
    if f.foreign + damaged > 0 {
        let text = format!("{} records are damaged or of another version", f.foreign + damaged);
        out += &wrap("", &text);
    }
    for d in &f.differences {
        out += &difference(d);
    }
    out
}

fn difference(d: &Difference) -> String {
    let input = serde_json::to_string(&d.input).unwrap_or_default();
    let list = |all: &[Said]| match all.is_empty() {
        true => "nothing".to_owned(),
        false => {
            all.iter().map(|s| serde_json::to_string(s).unwrap_or_default()).collect::<Vec<_>>().join(", ")
        }
    };
    format!(
        "\n{} at {} ns: {input}\n  then: {}\n  now:  {}\n",
        d.pair,
        d.at.as_nanos(),
        list(&d.then),
        list(&d.now)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::{Input, Output};
    use crate::time::Instant;

    #[test]
    fn what_differs_is_shown_with_what_was_decided_then() {
        let mut f = Findings { inputs: 7, decisions: 2, ..Findings::default() };
        assert_eq!(render(&f, 0), "7 inputs, 2 decisions: all come out as they did\n");
        (f.differing, f.skipped) = (1, 3);
        f.differences.push(Difference {
            pair: "esc".into(),
            at: Instant::from_nanos(5),
            input: Input::Timer,
            then: vec![Said::Other(Output::MayStop)],
            now: vec![],
        });
        assert_eq!(
            render(&f, 1),
            "7 inputs, 2 decisions: one comes out otherwise\n3 inputs were left out: what was before them is gone, or differed\n\
             1 records are damaged or of another version\n\nesc at 5 ns: \"timer\"\n  then: {\"other\":\"may_stop\"}\n  now:  nothing\n"
        );
    }
}
