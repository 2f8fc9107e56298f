//! The daemon: parse arguments, hand over to `daemon::run`.

fn main() {}
