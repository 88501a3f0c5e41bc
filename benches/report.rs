//! Table of the results.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Plan;
use crate::closed_loop::Measured;

/// Required value.
#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
        }
    }
}

/// Row of the table.
pub struct Row {
    name: String,
    target: Target,
    value: f64,
    /// Quartiles of the rounds, if there are several.
    spread: Option<(f64, f64)>,
    unit: &'static str,
    ours: String,
    baseline: String,
}

impl Row {
    /// Compares requests per second.
    pub fn speed(name: &str, target: Target, ours: &[Measured], baseline: &[Measured]) -> Self {
        Self::ratio(name, target, ours, baseline, |one| one.per_second)
    }

    /// Compares the 99th percentiles.
    pub fn p99(name: &str, target: Target, ours: &[Measured], baseline: &[Measured]) -> Self {
        Self::ratio(name, target, ours, baseline, |one| one.p99.as_secs_f64())
    }

    fn ratio(
        name: &str,
        target: Target,
        ours: &[Measured],
        baseline: &[Measured],
        number: impl Fn(&Measured) -> f64,
    ) -> Self {
        let ratios = ours.iter().zip(baseline).map(|(a, b)| number(a) / number(b));
        let mut ratios: Vec<f64> = ratios.collect();
        Self {
            name: name.to_owned(),
            target,
            value: quantile(&mut ratios, 0.5),
            spread: Some((quantile(&mut ratios, 0.25), quantile(&mut ratios, 0.75))),
            unit: "×",
            ours: describe(ours),
            baseline: describe(baseline),
        }
    }

    /// Reports a number without a baseline.
    pub fn plain(name: &str, target: Target, mut values: Vec<f64>, unit: &'static str) -> Self {
        let spread =
            (values.len() > 1).then(|| (quantile(&mut values, 0.25), quantile(&mut values, 0.75)));
        Self {
            name: name.to_owned(),
            target,
            value: quantile(&mut values, 0.5),
            spread,
            unit,
            ours: String::new(),
            baseline: String::new(),
        }
    }

    pub fn line(&self) -> String {
        let spread = self.spread.map_or_else(String::new, |(low, high)| {
            format!(" ({} to {})", number(low), number(high))
        });
        let met = if self.target.holds(self.value) { "yes" } else { "**no**" };
        format!(
            "| {} | {} {} | {} {}{spread} | {met} | {} | {} |",
            self.name,
            self.target.text(),
            self.unit,
            number(self.value),
            self.unit,
            self.ours,
            self.baseline
        )
    }
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let index = ((values.len().saturating_sub(1)) as f64 * part).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// Returns the medians of the rounds.
fn describe(rounds: &[Measured]) -> String {
    let median = |number: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(number).collect();
        quantile(&mut values, 0.5)
    };
    let time = |seconds: f64| {
        let time = Duration::from_secs_f64(seconds);
        if seconds < 0.01 {
            format!("{} µs", time.as_micros())
        } else {
            format!("{} ms", time.as_millis())
        }
    };
    format!(
        "{:.0}/s, {}, {}",
        median(|one| one.per_second),
        time(median(|one| one.p50.as_secs_f64())),
        time(median(|one| one.p99.as_secs_f64()))
    )
}

#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Returns the table in Markdown.
    pub fn render(&self, plan: &Plan) -> String {
        let mut text = format!(
            "{} rounds of {} s each; medians, and quartiles in brackets. Sentinel and baseline: \
             requests per second, p50, p99.\n\n\
             | measurement | target | measured | met | Sentinel | baseline |\n|---|---|---|---|---|---|\n",
            plan.rounds,
            plan.time.as_secs_f64()
        );
        for row in &self.rows {
            let _ = writeln!(text, "{}", row.line());
        }
        text
    }
}
