//! `kind = "file"`, on a real file system of a fixed size.

use crate::lab::{isolated, run};
use crate::support::*;
use std::sync::Arc;
use tandemd::agents::file::FileAgent;
use tandemd::agents::{Agent, Noticed};
use tandemd::config::{FileResource, Space};
use tandemd::resource::{Level, Step, StepResult};

const MIB: usize = 1 << 20;

fn agent(place: &Place, path: &str, warn: Space, min: Space) -> Arc<dyn Agent> {
    let settings = FileResource { path: path.into(), warn_free: Some(warn), min_free: Some(min) };
    Arc::new(FileAgent::new("x".into(), settings, place.services()))
}

#[test]
fn a_file_system_that_fills_up_warns_once_then_fails_and_recovers() {
    isolated("file::a_file_system_that_fills_up_warns_once_then_fails_and_recovers", || {
        std::fs::create_dir("/run/data").unwrap();
        run("mount -t tmpfs -o size=100m none /run/data");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut place = Place::new();
            let agent = agent(&place, "/run/data", Space::Percent(20), Space::Bytes(10 * MIB as u64));
            let fill = |mib: usize| std::fs::write("/run/data/fill", vec![0_u8; mib * MIB]).unwrap();
            assert_eq!(find(&*agent).await, Ok(Level::Started));
            assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
            assert_eq!(detail(&agent, "free").as_deref(), Some("100 MiB of 100 MiB (100%)"));
            fill(81);
            assert_eq!(step(&*agent, Step::Monitor).await, StepResult::Done);
            let text = "/run/data: only 19 MiB of 100 MiB (19%) is free, less than warn_free = 20%";
            assert_eq!(place.next_report().await, Noticed::Event { warning: true, text: text.into() });
            fill(91);
            let words = "/run/data: only 9 MiB of 100 MiB (9%) is free, less than min_free = 10 MiB";
            assert_eq!(failure(step(&*agent, Step::Monitor).await), words);
            assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
            assert_eq!(failure(step(&*agent, Step::Start).await), words);
            assert_eq!(find(&*agent).await, Ok(Level::Stopped));
            assert!(place.reports.try_recv().is_err(), "it was told already");
            fill(79);
            assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
            assert!(place.reports.try_recv().is_err(), "hardly more than the limit");
            fill(50);
            assert_eq!(step(&*agent, Step::Monitor).await, StepResult::Done);
            let text = "/run/data: 50 MiB of 100 MiB (50%) is free again";
            assert_eq!(place.next_report().await, Noticed::Event { warning: false, text: text.into() });
        });
    });
}

#[tokio::test]
async fn a_path_that_is_missing_is_named() {
    let place = Place::new();
    let agent = agent(&place, "/no/such/path", Space::Percent(20), Space::Percent(10));
    let words = failure(step(&*agent, Step::Start).await);
    assert!(words.starts_with("cannot look at /no/such/path: No such file"), "{words}");
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
}
