//! The CLI: parse arguments, hand over to `cli::run`.

fn main() {}
