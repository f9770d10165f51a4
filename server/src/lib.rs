//! The `millrace` binary: settings, wiring, the PostgreSQL and HTTP doors, drain and stop.
//!
//! ```text
//!  args → config (raw → checked) → app: build → run → drain
//!                                   │
//!                  pg ─┐            ├─ storage   rows and offsets
//!                http ─┴─ engine ───┤─ ingest    sources, behind sql's SourceControl
//! ```
//! What enters: a command line. What leaves: an exit code. Deliberately absent: SQL, storage and ingestion themselves.

mod addresses;
pub mod app;
pub mod args;
pub mod config;
pub mod control;
pub mod demo;
pub mod http;
mod machine;
pub mod metrics;
mod parts_command;
pub mod pg;
pub mod readiness;
mod runtimes;
mod source_command;
pub mod status;
mod telemetry;

use args::{Cli, Command, PartsArgs, ServeArgs, SourcesCommand};
use config::{Config, RawConfig};
use millrace_error::{Error, Result};
use std::path::Path;

/// Does what the command line says. What it prints to stdout is the result; all else goes to stderr.
///
/// # Errors
/// As the command gives them; the binary then exits with 1.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Serve(args) => {
            telemetry::start("info")?;
            app::serve(&serve_config(&args)?)
        }
        Command::Demo(args) => {
            telemetry::start("warn")?;
            demo::run(&args)
        }
        Command::CheckConfig { file } => check_config(&file),
        Command::Sources { command: SourcesCommand::Test { file } } => {
            telemetry::start("error")?;
            print_text(&source_command::test(&file)?)
        }
        Command::Parts(args) => {
            telemetry::start("warn")?;
            let config = parts_config(&args)?;
            print_text(&runtimes::block_on(parts_command::list(&config.data_dir, config.memory_limit, &args.table))?)
        }
        Command::Restore(_) => Err(Error::not_supported("restore is not in this version")),
        Command::Repair(_) => Err(Error::not_supported("repair is not in this version")),
    }
}

fn serve_config(args: &ServeArgs) -> Result<Config> {
    let mut raw = RawConfig::default();
    if let Some(file) = &args.config {
        raw.add_file(file)?;
    }
    raw.add_environment(|name| std::env::var(name).ok());
    raw.add_flag("data_dir", "--data-dir", args.data_dir.as_deref());
    raw.add_flag("pg.listen", "--pg", args.pg.as_deref());
    raw.add_flag("http.listen", "--http", args.http.as_deref());
    raw.add_flag("flight.listen", "--flight", args.flight.as_deref());
    raw.check()
}

fn parts_config(args: &PartsArgs) -> Result<Config> {
    let serve = ServeArgs { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServeArgs::default() };
    serve_config(&serve)
}

/// The file alone is judged, not this machine's environment.
fn check_config(file: &Path) -> Result<()> {
    let mut raw = RawConfig::default();
    raw.add_file(file)?;
    raw.check()?;
    print_text(&format!("{} is valid\n", file.display()))
}

/// A closed pipe (`millrace parts t | head -1`) is no failure.
fn print_text(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("stdout", e)),
        _ => Ok(()),
    }
}
