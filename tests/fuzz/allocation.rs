//! Counts what the test's own thread takes from the heap.
//!
//! `unsafe` because `GlobalAlloc` is an unsafe trait: there is no other way to see allocations. Every call goes to the
//! system's allocator unchanged; only numbers are kept beside it.
#![allow(unsafe_code, reason = "an allocator is an unsafe trait, and counting needs one; test binary only")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Constants without a destructor: reading them allocates nothing, at any moment of a thread's life.
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static GIVEN: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn note_given(bytes: usize) {
    GIVEN.with(|t| t.set(t.get().wrapping_add(bytes)));
}

fn note(bytes: usize) {
    TAKEN.with(|t| t.set(t.get().wrapping_add(bytes)));
}

// SAFETY: each method hands its arguments to `System` as they are and returns what that returns, so that its promises
// hold here too; `note` and `note_given` neither allocate nor panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        note_given(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note_given(layout.size());
        // SAFETY: as above; `at` came from `System`, because everything does.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The result, and how many bytes this thread asked the heap for meanwhile; what it gave back is not subtracted.
#[allow(dead_code, reason = "not every test binary looks at it")]
pub(crate) fn measured<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.with(Cell::get);
    let result = f();
    (result, TAKEN.with(Cell::get).wrapping_sub(before))
}

/// How many bytes this thread has taken from the heap and not given back. What other threads gave back for it counts as
/// held, so this may be too high; only the difference of two looks means something.
#[allow(dead_code, reason = "not every test binary looks at it")]
pub(crate) fn live() -> isize {
    TAKEN.with(Cell::get).wrapping_sub(GIVEN.with(Cell::get)).cast_signed()
}
