//! `sentinel throttle`: lists and clears the budgets of the rate limiter.

use std::net::IpAddr;

use clap::{ArgGroup, Args, Subcommand};
use ipnet::IpNet;
use serde_json::json;

use super::Global;
use super::failure::Failure;
use super::listing::{OutputFormat, RowSink};
use super::output;
use crate::admin::json::SpentBudgetJson;
use crate::domain::RateLimitKey;
use crate::rate_limit::{keys_of_client, keys_of_network, keys_of_user};
use crate::store::{OpenMode, SpentBudget};

#[derive(Debug, Subcommand)]
pub(super) enum ThrottleCommand {
    /// Lists what running servers limit because of failed attempts; takes two seconds
    List(ListBudgets),
    /// Forgets failed attempts, so that guesses from an address or at a name count from zero
    Clear(ClearBudgets),
}

#[derive(Debug, Args)]
pub(super) struct ListBudgets {
    /// Maximum number of entries
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    limit: u32,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["address", "user", "client", "all"]))]
pub(super) struct ClearBudgets {
    /// Clears the budgets of an address or network, such as 192.0.2.1 or 2001:db8::/48, and of the
    /// networks around it
    #[arg(long, value_name = "ADDRESS", value_parser = parse_network)]
    address: Option<IpNet>,
    /// Clears the budget of the user, or of the operator, with this name
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Clears the budget of the client with this id
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Clears all budgets
    #[arg(long)]
    all: bool,
}

impl ThrottleCommand {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(global),
            Self::Clear(clear) => clear.run(global),
        }
    }
}

impl ListBudgets {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let row = |budget: &SpentBudget| {
            let SpentBudgetJson { what, guessed, subject, until } = SpentBudgetJson::of(budget);
            let subject = subject.unwrap_or_else(|| "(an unknown name)".to_owned());
            [what.to_owned(), subject, guessed, until]
        };
        let heading = ["WHAT", "SUBJECT", "GUESSED", "LIMITED UNTIL"];
        let mut to = OutputFormat::of(global.json, SpentBudgetJson::of, heading, row);
        let budgets = global
            .on_store(OpenMode::Write, async |admin| Ok(admin.spent_budgets(self.limit).await?))?;
        if to.rows(&budgets)? { to.end() } else { Ok(()) }
    }
}

impl ClearBudgets {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let keys = self.keys();
        global.on_store(OpenMode::Write, async |admin| {
            Ok(admin.clear_budgets(keys.as_deref()).await?)
        })?;
        if global.json {
            return output::json(&json!({ "cleared": true }));
        }
        output::line("cleared; running servers follow within two seconds")
    }

    /// Returns the keys of the budgets to be cleared; `None` for all budgets.
    fn keys(&self) -> Option<Vec<RateLimitKey>> {
        match (&self.address, &self.user, &self.client) {
            (Some(network), _, _) => Some(keys_of_network(*network)),
            (_, Some(user), _) => Some(keys_of_user(user)),
            (_, _, Some(client)) => Some(keys_of_client(client)),
            _ => None,
        }
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let network =
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.filter(|network| !keys_of_network(*network).is_empty()).ok_or_else(|| {
        "expected an address, or a network of at least 24 (IPv4) or 48 (IPv6) bits".to_owned()
    })
}
