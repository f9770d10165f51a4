//! The command line: what the user typed, before any of it is judged.
//!
//! What enters: `argv`. What leaves: a [`Command`] with raw texts. Deliberately absent: defaults and checks of settings
//! (see `config`), which are the same for flags, environment and file.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Real-time SQL over Kafka: exactly once, fresh within milliseconds, in open Parquet.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the server until SIGTERM or Ctrl-C
    Serve(ServeArgs),
    /// Shows it at work: embedded broker, live data, a table, queries to try
    Demo(DemoArgs),
    /// Reads a configuration file and says what is wrong with it
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Commands on source files
    Sources {
        /// What to do with them.
        #[command(subcommand)]
        command: SourcesCommand,
    },
    /// Lists the live Parquet files of a table, with the server off
    Parts(PartsArgs),
    /// Restores a table from a backup (not in this version)
    #[command(hide = true)]
    Restore(LaterArgs),
    /// Repairs a damaged data directory (not in this version)
    #[command(hide = true)]
    Repair(LaterArgs),
}

/// Commands on source files.
#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// Reads a source file and asks its broker for the topic
    Test {
        /// The file
        file: PathBuf,
    },
}

/// Arguments of `serve`. Addresses are `host:port`; port 0 takes a free one, `off` turns the door off.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept [default: ./millrace-data] [env: MILLRACE_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// PostgreSQL door [default: 127.0.0.1:5433] [env: MILLRACE_PG_LISTEN]
    #[arg(long, value_name = "ADDR")]
    pub pg: Option<String>,
    /// HTTP door [default: 127.0.0.1:8080] [env: MILLRACE_HTTP_LISTEN]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Flight SQL door; not in this version, opens nothing [env: MILLRACE_FLIGHT_LISTEN]
    #[arg(long, value_name = "ADDR")]
    pub flight: Option<String>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Events a second
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// Ends by itself after so long, such as 20s
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,
    /// Keeps the data here [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Arguments of `parts`.
#[derive(Debug, Args)]
pub struct PartsArgs {
    /// The table
    pub table: String,
    /// Where everything is kept [default: ./millrace-data] [env: MILLRACE_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of a command that the surface names and this version lacks.
#[derive(Debug, Args)]
pub struct LaterArgs {
    /// Anything
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn demo_ends_when_told() {
        let cli = Cli::parse_from(["millrace", "demo", "--for", "10s", "--rate", "500"]);
        let Command::Demo(demo) = cli.command else { panic!("not demo") };
        assert_eq!((demo.rate, demo.duration.as_deref()), (500, Some("10s")));
    }

    #[test]
    fn a_mistake_exits_with_two() {
        let error = Cli::try_parse_from(["millrace", "serve", "--prot", "1"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
