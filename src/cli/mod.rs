//! The command line, with one module for each family of commands.
//!
//! A command parses its arguments, calls [`crate::admin`] or [`crate::app`], and prints text, or
//! JSON with `--json`. A failure is one line on standard error and an exit code of `sysexits.h`
//! ([`failure`]). Passwords are never taken from arguments, which all users of the machine can
//! read.

mod bulk;
mod client;
mod completions;
mod config;
mod confirm;
mod dev;
mod examples;
mod failure;
mod files;
mod global;
mod healthcheck;
mod import;
mod interrupt;
mod listing;
mod man;
mod output;
mod password_input;
mod progress;
mod serve;
mod session;
mod store;
mod templates;
mod throttle;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::disable_core_dumps;
use global::{Global, HEADING};

/// A standalone OAuth 2.0 token server.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the server
    Serve(serve::Serve),
    /// Adds, shows and changes users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Adds, shows and changes clients
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Lists and ends sessions
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Lists and clears what the rate limiter has counted
    #[command(subcommand)]
    Throttle(throttle::ThrottleCommand),
    /// Imports users, clients and tokens from another server
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Copies or backs up the store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Checks or shows the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Checks the templates of the pages
    #[command(subcommand)]
    Templates(templates::TemplatesCommand),
    /// Checks whether a running server is ready, for container health checks
    Healthcheck(healthcheck::Healthcheck),
    /// Prints a completion script for a shell
    Completions(completions::Completions),
    /// Prints the manual page, for man(1)
    Man,
}

/// Returns the parser of the whole command line.
fn command() -> clap::Command {
    examples::with_examples(with_set(Cli::command()), "")
}

/// Adds the option `--set` to a command and its subcommands.
///
/// With a global option of clap, values after a subcommand would replace those before it, and
/// `sentinel --set store.path=a user add --set …` would write to another store.
fn with_set(command: clap::Command) -> clap::Command {
    let set = Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .value_parser(parse_override)
        .help_heading(HEADING)
        .display_order(901)
        .help("Sets one setting, e.g. oauth.access_token_ttl=15m; overrides file and environment");
    command.arg(set).mut_subcommands(with_set)
}

/// Returns the values of `--set` before and after each subcommand, in the order of the arguments.
fn overrides(matches: &ArgMatches) -> Vec<(String, String)> {
    let here = matches.get_many("set").into_iter().flatten().cloned();
    let nested = matches.subcommand().map(|(_, matches)| overrides(matches));
    here.chain(nested.into_iter().flatten()).collect()
}

fn parse_override(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    cli.global.overrides = overrides(&matches);
    Ok(cli)
}

/// Runs the command in the arguments of this process.
pub fn main() -> ExitCode {
    disable_core_dumps();
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let global = cli.global;
    let result = match cli.command {
        Command::Serve(command) => command.run(&global),
        Command::User(command) => command.run(&global),
        Command::Client(command) => command.run(&global),
        Command::Session(command) => command.run(&global),
        Command::Throttle(command) => command.run(&global),
        Command::Import(command) => command.run(&global),
        Command::Store(command) => command.run(&global),
        Command::Config(command) => command.run(&global),
        Command::Templates(command) => command.run(&global),
        Command::Healthcheck(command) => command.run(&global),
        Command::Completions(command) => command.run(self::command()),
        Command::Man => man::run(command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
