//! A form on its way back to who filled it in: what was typed, and what is wrong with it.

use std::collections::BTreeMap;

use serde::Serialize;

/// One field.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Field {
    /// What was typed; of a box, "on" if it is ticked.
    pub(super) value: String,
    /// What is wrong.
    pub(super) error: Option<String>,
}

/// The fields of a form, by name.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Form(BTreeMap<&'static str, Field>);

impl Form {
    /// Puts a field in, as it was typed.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, Field { value: value.into(), error: None });
        self
    }

    /// The same for a box.
    pub(super) fn with_box(self, name: &'static str, ticked: bool) -> Self {
        self.with(name, if ticked { "on" } else { "" })
    }

    /// Says what is wrong with a field.
    pub(super) fn refuse(&mut self, name: &'static str, error: impl Into<String>) {
        self.0.entry(name).or_default().error = Some(error.into());
    }

    /// The result of reading a field; what is wrong is said beside it.
    pub(super) fn note<T, E: Into<String>>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.refuse(name, error)).ok()
    }
}
