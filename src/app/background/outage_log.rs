//! Logs an outage once when it begins and once when it ends.

/// Log of the outages of a service: true while an outage is logged that has not ended.
#[derive(Default)]
pub(super) struct OutageLog(bool);

impl OutageLog {
    pub(super) fn began(&mut self, log: impl FnOnce()) {
        if !std::mem::replace(&mut self.0, true) {
            log();
        }
    }

    pub(super) fn ended(&mut self, log: impl FnOnce()) {
        if std::mem::take(&mut self.0) {
            log();
        }
    }
}
