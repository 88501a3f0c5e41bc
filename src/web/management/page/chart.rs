//! Logins of the last hours, as bars of an SVG: a picture that needs neither script nor inline style.

use serde::Serialize;

use crate::oauth::Hour;

/// The size of the picture, in its own units.
const HEIGHT: u64 = 100;
const STEP: u64 = 20;
const BAR: u64 = 14;

#[derive(Serialize)]
pub(super) struct Chart {
    width: u64,
    height: u64,
    bar: u64,
    hours: Vec<Bar>,
    /// In all of these hours.
    logins: u64,
    failures: u64,
    /// What the highest bar stands for.
    most: u64,
}

/// One hour.
#[derive(Serialize)]
struct Bar {
    /// `02:00`, in UTC.
    label: String,
    logins: u64,
    failures: u64,
    x: u64,
    /// Failures stand on top of logins.
    logins_y: u64,
    logins_height: u64,
    failures_y: u64,
    failures_height: u64,
}

impl Chart {
    pub(super) fn of(hours: &[Hour]) -> Self {
        let most = hours.iter().map(|hour| hour.logins + hour.failures).max().unwrap_or_default();
        // One is to be seen beside a thousand.
        let height = |count: u64| match count {
            0 => 0,
            count => (count * HEIGHT / most.max(1)).max(2),
        };
        let bars = hours.iter().zip(0..).map(|(hour, index)| {
            let (logins_height, failures_height) = (height(hour.logins), height(hour.failures));
            let logins_y = HEIGHT.saturating_sub(logins_height);
            Bar {
                label: hour.start.to_string().get(11..16).unwrap_or_default().to_owned(),
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
        }
    }
}
