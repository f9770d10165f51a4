//! The `millrace` binary: allocator, command line, exit code (0 done, 1 failed, 2 command line not understood).

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    millrace_sys::tune_allocator();
    let cli = millrace_server::args::Cli::parse();
    match millrace_server::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace: {error}");
            for (title, text) in [("detail", error.detail_text()), ("hint", error.hint_text())] {
                if let Some(text) = text {
                    eprintln!("  {title}: {text}");
                }
            }
            ExitCode::FAILURE
        }
    }
}
