use super::*;
use crate::events::{Reader, Want};
use std::fs;
use std::path::Path;
use std::sync::mpsc;

fn settings(dir: &Path, tell: impl FnMut(News) -> Option<String> + Send + 'static) -> Settings<String> {
    Settings {
        name: "test-writer",
        dir: dir.to_owned(),
        limits: Limits::default(),
        clock: crate::net::clock::wall,
        complete: Box::new(|text| text.push('!')),
        tell: Box::new(tell),
    }
}

fn quiet(news: News) -> Option<String> {
    panic!("{news:?}");
}

fn texts(dir: &Path) -> Vec<String> {
    let page = Reader::new(dir).read(Want::Newest, usize::MAX, |_| true).unwrap();
    page.records.into_iter().map(|r| r.value).collect()
}

/// Until the thread has ended.
fn join(writer: &Writer<String>) {
    writer.close();
    while writer.newest().has_changed().is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn what_is_handed_over_is_written_in_order_and_what_is_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(settings(dir.path(), quiet)).unwrap();
    let now = crate::net::clock::wall();
    assert!(writer.append(now, "one".into()));
    assert_eq!(writer.append_durably(now, "two".into()).blocking_recv(), Ok(2));
    assert_eq!(texts(dir.path()), ["one!", "two!"]);
    assert_eq!(*writer.newest().borrow(), 2);
    for n in 0..500 {
        assert!(writer.append(now, format!("{n}")));
    }
    join(&writer);
    assert_eq!(texts(dir.path()).len(), 502, "the end waits for what was handed over");
    assert!(!writer.append(now, "late".into()));
    assert_eq!(writer.counts(), Counts { written: 502, lost: 1, failed: 0 });
}

#[test]
fn a_store_that_cannot_be_opened_is_tried_again_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    fs::write(&place, "a file where a directory should be").unwrap();
    let (sender, news) = mpsc::channel();
    let writer = Writer::start(settings(&place, move |n| {
        sender.send(n.clone()).unwrap();
        matches!(n, News::Mended { .. }).then(|| "mended".to_owned())
    }));
    let writer = writer.unwrap();
    let now = crate::net::clock::wall();
    let News::Failing(text) = news.recv().unwrap() else { panic!() };
    assert!(text.contains(&place.display().to_string()), "{text}");
    let room = QUEUE as u64;
    for n in 0..room + 10 {
        assert_eq!(writer.append(now, format!("{n}")), n < room, "{n}");
    }
    let late = writer.append_durably(now, "late".into());
    assert!(late.blocking_recv().is_err(), "who waits for a lost record is told");
    fs::remove_file(&place).unwrap();
    assert_eq!(news.recv().unwrap(), News::Mended { lost: 11 });
    join(&writer);
    let all = texts(&place);
    assert_eq!(all.len() as u64, room + 1);
    assert_eq!((all[0].as_str(), all.iter().filter(|t| *t == "mended!").count()), ("0!", 1));
    assert!(news.try_recv().is_err());
}

#[test]
fn a_record_that_cannot_be_stored_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, news) = mpsc::channel();
    let writer = Writer::start(settings(dir.path(), move |n| {
        sender.send(n).unwrap();
        None
    }));
    let writer = writer.unwrap();
    let now = crate::net::clock::wall();
    writer.append(now, "x".repeat(Limits::default().record_bytes()));
    assert_eq!(writer.append_durably(now, "next".into()).blocking_recv(), Ok(1));
    assert!(matches!(news.recv().unwrap(), News::Refused(text) if text.contains("too long")));
    join(&writer);
    assert!(news.try_recv().is_err(), "and told once");
    assert_eq!(writer.counts(), Counts { written: 1, lost: 1, failed: 0 });
}
