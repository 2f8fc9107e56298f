//! The store on real files: cut, damaged, bounded, read while it is written.

use super::line::{Scan, encode};
use super::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Note {
    text: String,
}

fn note(n: u64) -> Note {
    Note { text: format!("note {n}, with a\nline break and {}", "x".repeat(n as usize % 40)) }
}

fn at(n: u64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + i64::try_from(n).unwrap()).unwrap()
}

fn small() -> Limits {
    Limits { bytes: Limits::LEAST_BYTES, ..Limits::default() }
}

/// Commits these records one by one.
fn add(store: &mut Store, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        assert_eq!(store.stage(at(n), &note(n)).unwrap(), n);
        assert_eq!(store.commit(at(n)).unwrap(), n);
    }
}

fn all(dir: &Path) -> Page<Note> {
    Reader::new(dir).read(Want::Newest, usize::MAX, |_| true).unwrap()
}

fn ids(page: &Page<Note>) -> Vec<u64> {
    page.records.iter().map(|r| r.id).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir).unwrap().into_iter().map(|s| s.path).collect()
}

/// Each record is one that was written.
fn assert_genuine(page: &Page<Note>) {
    for r in &page.records {
        assert_eq!((r.at, &r.value), (at(r.id), &note(r.id)));
    }
    assert!(page.records.is_sorted_by(|a, b| a.id < b.id));
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_ids_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    add(&mut store, 1..=3);
    assert_eq!(store.stage(at(4), &note(4)).unwrap(), 4);
    drop(store);
    assert_eq!(ids(&all(dir.path())), [1, 2, 3], "what was not committed is nowhere");
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    add(&mut store, 4..=5);
    let page = all(dir.path());
    assert_eq!((ids(&page), page.more, page.damaged, page.last_id), (vec![1, 2, 3, 4, 5], false, 0, 5));
    assert_genuine(&page);
    let text = fs::read_to_string(&files(dir.path())[0]).unwrap();
    assert!(
        text.lines().nth(4).unwrap().contains(" 5 2026-11-18T11:06:45Z {\"text\":\"note 5, with a\\nline"),
        "{text}"
    );
}

#[test]
fn two_writers_are_refused_and_readers_never() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    add(&mut store, 1..=1);
    let refused = Store::open(dir.path(), Limits::default()).unwrap_err();
    assert!(matches!(refused, StoreError::InUse(_)) && refused.to_string().contains("second tandemd"));
    assert_eq!(ids(&all(dir.path())), [1]);
    drop(store);
    Store::open(dir.path(), Limits::default()).unwrap();
    assert_eq!(ids(&all(&dir.path().join("missing"))), [0; 0]);
}

#[test]
fn pages_follow_one_another_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), small()).unwrap();
    add(&mut store, 1..=900);
    assert!(files(dir.path()).len() > 2);
    let reader = Reader::new(dir.path());
    let read = |want, limit| reader.read(want, limit, |s: &Stored<Note>| s.id.is_multiple_of(3)).unwrap();
    let newest = read(Want::Newest, 4);
    assert_eq!((ids(&newest), newest.more, newest.last_id), (vec![891, 894, 897, 900], true, 900));
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = read(Want::After(after), 7);
        seen.extend(ids(&page));
        after = page.last_id;
        if !page.more {
            break;
        }
        assert_eq!(page.records.len(), 7);
    }
    assert_eq!(seen, (1..=300).map(|n| 3 * n).collect::<Vec<u64>>());
    assert_eq!(after, 900);
    assert_eq!(ids(&read(Want::After(5000), 7)), [0; 0]);
}

#[test]
fn the_oldest_make_room_and_the_whole_is_never_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), small()).unwrap();
    let mut largest = 0;
    for n in 1..=8000 {
        store.stage(at(n), &note(n)).unwrap();
        if n.is_multiple_of(5) {
            store.commit(at(n)).unwrap();
            let bytes: u64 = files(dir.path()).iter().map(|f| fs::metadata(f).unwrap().len()).sum();
            assert_eq!(bytes, store.bytes());
            largest = largest.max(bytes);
        }
    }
    assert!(largest <= Limits::LEAST_BYTES && largest > Limits::LEAST_BYTES / 4 * 3, "{largest}");
    let page = all(dir.path());
    assert_genuine(&page);
    assert_eq!((page.records.last().unwrap().id, page.damaged), (8000, 0));
    let first = page.records[0].id;
    assert_eq!(
        ids(&page),
        (first..=8000).collect::<Vec<u64>>(),
        "only whole segments at the old end are gone"
    );
    // A reader that was away for long goes on with what there is.
    assert_eq!(
        Reader::new(dir.path()).read(Want::After(1), 1, |_: &Stored<Note>| true).unwrap().records[0].id,
        first
    );
}

#[test]
fn what_is_too_old_goes_one_segment_at_a_time_and_the_next_id_stays() {
    let dir = tempfile::tempdir().unwrap();
    let day = 86_400;
    let limits = Limits { age: Duration::from_secs(8 * day), ..Limits::default() };
    let mut store = Store::open(dir.path(), limits).unwrap();
    for n in 1..=4 {
        let now = at(n * 2 * day);
        store.stage(now, &note(n)).unwrap();
        store.commit(now).unwrap();
        let path = files(dir.path()).pop().unwrap();
        fs::File::options().append(true).open(path).unwrap().set_modified(now.into()).unwrap();
    }
    assert_eq!(files(dir.path()).len(), 4, "a segment covers an eighth of the time");
    drop(store);
    let mut store = Store::open(dir.path(), limits).unwrap();
    store.expire(at(9 * day)).unwrap();
    assert_eq!(all(dir.path()).records.len(), 4);
    let mut left = Vec::new();
    for _ in 0..5 {
        store.expire(at(100 * day)).unwrap();
        left.push(all(dir.path()).records.len());
    }
    assert_eq!(left, [3, 2, 1, 0, 0]);
    drop(store);
    let mut store = Store::open(dir.path(), limits).unwrap();
    assert_eq!(store.stage(at(0), &note(5)).unwrap(), 5);
}

#[test]
fn what_does_not_fit_is_refused_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), small()).unwrap();
    let long = Note { text: "x".repeat(small().record_bytes()) };
    assert!(matches!(store.stage(at(1), &long), Err(StoreError::TooLong(_))));
    let fits = Note { text: "x".repeat(small().record_bytes() - 100) };
    assert_eq!(small().record_bytes(), 8192);
    assert_eq!(store.stage(at(1), &fits).unwrap(), 1);
    assert_eq!(store.stage(at(1), &fits).unwrap(), 2);
    assert!(matches!(store.stage(at(1), &fits), Err(StoreError::Full)));
    store.commit(at(1)).unwrap();
    assert_eq!(store.stage(at(1), &fits).unwrap(), 3);
}

#[test]
fn a_store_that_was_removed_begins_anew_with_higher_ids() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    add(&mut store, 1..=3);
    fs::remove_file(&files(dir.path())[0]).unwrap();
    add(&mut store, 4..=5);
    assert_eq!(ids(&all(dir.path())), [4, 5]);
}

#[test]
fn an_empty_segment_is_taken_up_and_its_number_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment::path(dir.path(), 17), "").unwrap();
    fs::write(dir.path().join("17.log"), "somebody else's").unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    add(&mut store, 17..=18);
    assert_eq!(ids(&all(dir.path())), [17, 18]);
    assert_eq!(fs::read(dir.path().join("17.log")).unwrap(), b"somebody else's");
}

#[test]
fn records_of_another_version_are_counted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    store.stage(at(1), &serde_json::json!({ "other": 1 })).unwrap();
    store.stage(at(2), &note(2)).unwrap();
    store.commit(at(2)).unwrap();
    drop(store);
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    add(&mut store, 3..=3);
    let page = all(dir.path());
    assert_eq!((ids(&page), page.damaged), (vec![2, 3], 1));
}

/// A segment with these records, and where each line ends.
fn segment_of(records: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for n in 1..=records {
        bytes.extend(encode(n, at(n), &serde_json::to_string(&note(n)).unwrap()));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn write_segment(dir: &Path, bytes: &[u8]) {
    fs::write(segment::path(dir, 1), bytes).unwrap();
}

#[test]
fn a_cut_anywhere_leaves_exactly_the_records_before_it() {
    let (bytes, ends) = segment_of(6);
    let dir = tempfile::tempdir().unwrap();
    for cut in 0..=bytes.len() {
        let whole = bytes.get(..cut).unwrap();
        // Only the end of the line may be missing.
        let want = ends.iter().filter(|end| cut + 1 >= **end).count() as u64 - 1;
        write_segment(dir.path(), whole);
        let page = all(dir.path());
        assert_eq!((ids(&page), page.damaged), ((1..=want).collect(), 0), "cut at {cut}");
        assert_genuine(&page);
        let mut store = Store::open(dir.path(), Limits::default()).unwrap();
        let next = store.stage(at(want + 1), &note(want + 1)).unwrap();
        assert!(next > want && next <= want + 5, "cut at {cut}: {next} after {want}");
        store.commit(at(want + 1)).unwrap();
        let seen = ids(&all(dir.path()));
        assert_eq!(seen, (1..=want).chain([next]).collect::<Vec<u64>>(), "cut at {cut}");
        let text = fs::read_to_string(segment::path(dir.path(), 1)).unwrap();
        assert_eq!(text.lines().count() as u64, want + 1, "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_byte_costs_one_record_at_most(place in 0.0..1.0f64, mask in 1u8..) {
        let (mut bytes, ends) = segment_of(20);
        let n = ((bytes.len() - 1) as f64 * place) as usize;
        bytes[n] ^= mask;
        let hit = ends.iter().filter(|end| **end <= n).count() as u64;
        let dir = tempfile::tempdir().unwrap();
        write_segment(dir.path(), &bytes);
        let page = all(dir.path());
        assert_genuine(&page);
        let others: Vec<u64> = (1..=20).filter(|id| *id != hit).collect();
        let seen: Vec<u64> = ids(&page).into_iter().filter(|id| *id != hit).collect();
        prop_assert_eq!(seen, others);
        // The same after the daemon has opened it, and it never gives an id twice.
        let mut store = Store::open(dir.path(), Limits::default()).unwrap();
        prop_assert_eq!(&ids(&all(dir.path())), &ids(&page));
        prop_assert!(store.stage(at(99), &note(99)).unwrap() > 20);
    }

    #[test]
    fn whatever_stands_in_a_file_nothing_but_records_comes_back(
        pieces in prop::collection::vec((0usize..20, prop::collection::vec(any::<u8>(), 0..60)), 0..20),
    ) {
        let (bytes, ends) = segment_of(20);
        let mut mixed = Vec::new();
        for (n, noise) in pieces {
            mixed.extend_from_slice(&bytes[ends[n]..ends[n + 1]]);
            mixed.extend_from_slice(&noise);
        }
        let dir = tempfile::tempdir().unwrap();
        write_segment(dir.path(), &mixed);
        let page = all(dir.path());
        assert_genuine(&page);
        let mut store = Store::open(dir.path(), Limits::default()).unwrap();
        let id = store.stage(at(99), &Note { text: "last".into() }).unwrap();
        store.commit(at(99)).unwrap();
        let last = all(dir.path()).records.pop().unwrap();
        prop_assert_eq!((last.id, last.value.text.as_str()), (id, "last"));
        prop_assert!(page.records.iter().all(|r| r.id < id));
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(Scan::new(&bytes).count(), 0);
        let mut text = b"t1 ".to_vec();
        text.extend(bytes);
        prop_assert_eq!(Scan::new(&text).count(), 0);
    }
}

#[test]
fn a_reader_beside_the_writer_sees_every_record_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 2 << 20, ..Limits::default() };
    let mut store = Store::open(dir.path(), limits).unwrap();
    let path = dir.path().to_owned();
    let last = 6000;
    let reader = std::thread::spawn(move || {
        let (mut after, mut seen) = (0, 0);
        while after < last {
            let page = Reader::new(&path).read(Want::After(after), 500, |_: &Stored<Note>| true).unwrap();
            assert_genuine(&page);
            assert_eq!(page.damaged, 0);
            for r in &page.records {
                assert_eq!(r.id, seen + 1, "none is missing, none comes twice");
                seen = r.id;
            }
            after = page.last_id;
        }
        seen
    });
    for n in 1..=last {
        store.stage(at(n), &note(n)).unwrap();
        if n.is_multiple_of(7) || n == last {
            store.commit(at(n)).unwrap();
        }
    }
    assert_eq!(reader.join().unwrap(), last);
    assert!(files(dir.path()).len() > 2, "over several segments");
}
