//! The command line: one file per family of commands.
//!
//! A command parses, calls [`crate::admin`] or [`crate::app`], and prints: JSON with `--json`, else
//! for people. What goes wrong is one line on standard error and an exit code of `sysexits.h`
//! ([`failure`]). Passwords never come from arguments, which everybody on the machine can read.

mod completions;
mod config;
mod dev;
mod failure;
mod healthcheck;
mod output;
mod serve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::settings::{Settings, Sources};
use failure::Failure;

/// A standalone OAuth 2.0 token server.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The settings file (TOML); see `sentinel config show` for all settings
    #[arg(long, global = true, value_name = "FILE", env = "SENTINEL_CONFIG")]
    config: Option<PathBuf>,
    /// Sets one setting, over file and environment, e.g. --set oauth.access_token_ttl=15m
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = parse_override)]
    overrides: Vec<(String, String)>,
    /// Prints JSON instead of text for people
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the server
    Serve(serve::Serve),
    /// Checks or shows the settings
    #[command(subcommand)]
    Config(config::Config),
    /// Asks a running server whether it is ready; for container health checks
    Healthcheck(healthcheck::Healthcheck),
    /// Prints a completion script for a shell
    Completions(completions::Completions),
}

impl Global {
    fn sources(&self) -> Sources {
        let mut sources = Sources::from_process(self.config.clone());
        sources.overrides.extend(self.overrides.iter().cloned());
        sources
    }

    fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.sources())?)
    }
}

fn parse_override(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let global = cli.global;
    let done = match cli.command {
        Command::Serve(command) => command.run(&global),
        Command::Config(command) => command.run(&global),
        Command::Healthcheck(command) => command.run(&global),
        Command::Completions(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
