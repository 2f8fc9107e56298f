//! The daemon: parse arguments, hand over to `daemon::run`.

use clap::Parser;
use std::process::ExitCode;
use tandemd::daemon::{Args, run};

fn main() -> ExitCode {
    run(Args::parse())
}
