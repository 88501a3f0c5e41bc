//! HTML form with the values of its fields and the errors in them.

use std::collections::BTreeMap;

use serde::Serialize;

/// Field of an HTML form, as templates receive it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct FieldView {
    /// Value of the form field; for a check box, "on" if it is ticked and "" otherwise.
    pub(super) value: String,
    /// Message about an error in the field's value; `None` if the value is valid.
    pub(super) error: Option<String>,
    /// Sentence about the submitted value, such as "You left it empty."; `None` unless `value` is
    /// the present value of the user or client and differs from the submitted one.
    pub(super) typed: Option<String>,
    #[serde(skip)]
    is_box: bool,
}

impl FieldView {
    fn describe(&self) -> String {
        match (self.is_box, &*self.value) {
            (true, "") => "You did not tick it.".to_owned(),
            (true, _) => "You ticked it.".to_owned(),
            (false, "") => "You left it empty.".to_owned(),
            (false, text) => format!("You entered “{text}”."),
        }
    }
}

/// Fields of an HTML form, by name, as templates receive them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct FormView(BTreeMap<&'static str, FieldView>);

impl FormView {
    /// Returns the form with an additional field of this name and value.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, FieldView { value: value.into(), ..FieldView::default() });
        self
    }

    /// Returns the form with an additional check box of this name.
    pub(super) fn with_box(mut self, name: &'static str, ticked: bool) -> Self {
        let value = if ticked { "on" } else { "" }.to_owned();
        self.0.insert(name, FieldView { value, is_box: true, ..FieldView::default() });
        self
    }

    /// Adds a sentence about the submitted value to each field whose value differs from the
    /// submitted one, except the fields in `except`.
    pub(super) fn with_submitted(mut self, submitted: &Self, except: &[&str]) -> Self {
        for (name, field) in self.0.iter_mut().filter(|(name, _)| !except.contains(*name)) {
            let other = submitted.0.get(name).filter(|other| other.value != field.value);
            field.typed = other.map(FieldView::describe);
        }
        self
    }

    /// Replaces the sentence about the submitted value of a field, if there is such a sentence.
    pub(super) fn set_submitted_text(&mut self, name: &str, text: &str) {
        if let Some(typed) = self.0.get_mut(name).and_then(|field| field.typed.as_mut()) {
            text.clone_into(typed);
        }
    }

    /// Returns the names of the form's fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Sets the error message of a form field.
    pub(super) fn set_error(&mut self, name: &'static str, error: impl Into<String>) {
        self.0.entry(name).or_default().error = Some(error.into());
    }

    /// Returns the value in `result`. For an error, sets the error message of the form field `name`
    /// and returns `None`.
    pub(super) fn check<T, E: Into<String>>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.set_error(name, error)).ok()
    }
}
