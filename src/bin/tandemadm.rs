//! The CLI: hand over to `cli::run`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandemd::cli::run()
}
