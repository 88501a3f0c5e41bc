//! Chart of the logins of the last hours: an SVG with bars, which needs neither scripts nor inline
//! styles.

use serde::Serialize;

use crate::observe::activity::Hour;

/// Height of the login chart, in SVG user units.
const HEIGHT: u64 = 100;
/// Distance between the left edges of two bars of the login chart, in SVG user units.
const STEP: u64 = 20;
/// Width of a bar of the login chart, in SVG user units.
const BAR: u64 = 14;

#[derive(Serialize)]
pub(super) struct Chart {
    width: u64,
    height: u64,
    bar: u64,
    hours: Vec<Bar>,
    /// Number of sessions started (logins) in all hours of the chart.
    logins: u64,
    failures: u64,
    /// Number of login attempts, successful or not, for which the highest bar of the chart stands.
    most: u64,
    /// Number of login attempts at the top of the axis; an even number.
    top: u64,
    middle: u64,
    /// Starts of the hours at the beginning of each quarter of the chart, in UTC.
    marks: Vec<String>,
}

/// Bar of the login chart for the successful and failed login attempts of one hour.
#[derive(Serialize)]
struct Bar {
    /// Start of the bar's hour in UTC, such as `02:00`.
    label: String,
    logins: u64,
    failures: u64,
    x: u64,
    /// Vertical position of the upper edge of the bar's part for logins, in SVG user units. The
    /// part for failures is drawn above this edge.
    logins_y: u64,
    logins_height: u64,
    failures_y: u64,
    failures_height: u64,
}

impl Chart {
    pub(super) fn of(hours: &[Hour]) -> Self {
        let most = hours.iter().map(|hour| hour.logins + hour.failures).max().unwrap_or_default();
        let top = top_of_axis(most);
        // Minimum height, so that one attempt is visible beside a thousand.
        let height = |count: u64| match count {
            0 => 0,
            count => (count * HEIGHT / top).max(2),
        };
        let bars = hours.iter().zip(0..).map(|(hour, index)| {
            let (logins_height, failures_height) = (height(hour.logins), height(hour.failures));
            let logins_y = HEIGHT.saturating_sub(logins_height);
            Bar {
                label: label(hour),
                logins: hour.logins,
                failures: hour.failures,
                x: index * STEP + (STEP - BAR) / 2,
                logins_y,
                logins_height,
                failures_y: logins_y.saturating_sub(failures_height),
                failures_height,
            }
        });
        Self {
            width: STEP * hours.len() as u64,
            height: HEIGHT,
            bar: BAR,
            hours: bars.collect(),
            logins: hours.iter().map(|hour| hour.logins).sum(),
            failures: hours.iter().map(|hour| hour.failures).sum(),
            most,
            top,
            middle: top / 2,
            marks: hours.iter().step_by(hours.len().div_ceil(4).max(1)).map(label).collect(),
        }
    }
}

fn label(hour: &Hour) -> String {
    hour.start.to_string().get(11..16).unwrap_or_default().to_owned()
}

/// Returns the number at the top of the axis: the least of 2, 4, 10, 20, 40, 100 and so on that is
/// not less than `most`, so that half of it is a whole number.
fn top_of_axis(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        if let Some(top) =
            [2, 4, 10].into_iter().map(|step| unit.saturating_mul(step)).find(|top| *top >= most)
        {
            return top;
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_of_axis_is_even_and_not_less_than_highest_bar() {
        for (most, top) in
            [(0, 2), (1, 2), (2, 2), (3, 4), (5, 10), (11, 20), (41, 100), (101, 200)]
        {
            assert_eq!(top_of_axis(most), top, "{most}");
        }
        assert_eq!(top_of_axis(u64::MAX), u64::MAX);
    }
}
