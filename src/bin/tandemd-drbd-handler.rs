//! What DRBD calls: hand over to `cli::drbd_handler`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandemd::cli::drbd_handler()
}
