//! HTML form with the values of its fields and the errors in them.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

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

/// Fields of an HTML form, by name, as templates receive them: in the order of the page.
#[derive(Clone, Debug, Default)]
pub(super) struct FormView(Vec<(&'static str, FieldView)>);

impl Serialize for FormView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

/// Error of a form, as the summary above the form shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FormErrorView {
    /// Id of the field's element; `None` for an error of the whole form.
    field: Option<&'static str>,
    label: &'static str,
    message: String,
}

/// Names of fields with the ids of their elements and their labels.
const LABELS: [(&str, &str, &str); 14] = [
    ("username", "username", "Name"),
    ("name", "name", "Name"),
    ("grants", "grant_password", "Grants"),
    ("scope_limit", "scope-any", "Scopes"),
    ("scopes", "scopes", "Scopes"),
    ("default_scopes", "default_scopes", "Default scopes"),
    ("access_token_ttl", "access_token_ttl", "Access token"),
    ("refresh_idle_ttl", "refresh_idle_ttl", "Unused refresh token"),
    ("session_ttl", "session_ttl", "Session"),
    ("introspection", "introspection", "Introspection"),
    ("introspect_refresh_tokens", "introspect_refresh_tokens", "Introspection of refresh tokens"),
    ("password", "password", "Password"),
    ("again", "again", "Repeat the password"),
    ("enabled", "enabled", "May log in"),
];

impl FormView {
    /// Returns the form with an additional field of this name and value.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        *self.field(name) = FieldView { value: value.into(), ..FieldView::default() };
        self
    }

    /// Returns the form with an additional check box of this name.
    pub(super) fn with_box(mut self, name: &'static str, ticked: bool) -> Self {
        let value = if ticked { "on" } else { "" }.to_owned();
        *self.field(name) = FieldView { value, is_box: true, ..FieldView::default() };
        self
    }

    /// Adds a sentence about the submitted value to each field whose value differs from the
    /// submitted one, except the fields in `except`.
    pub(super) fn with_submitted(mut self, submitted: &Self, except: &[&str]) -> Self {
        for (name, field) in self.0.iter_mut().filter(|(name, _)| !except.contains(name)) {
            let other = submitted.get(name).filter(|other| other.value != field.value);
            field.typed = other.map(FieldView::describe);
        }
        self
    }

    /// Replaces the sentence about the submitted value of a field, if there is such a sentence.
    pub(super) fn set_submitted_text(&mut self, name: &str, text: &str) {
        if let Some(typed) = self.get_mut(name).and_then(|field| field.typed.as_mut()) {
            text.clone_into(typed);
        }
    }

    /// Returns the names of the form's fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Sets the error message of a form field.
    pub(super) fn set_error(&mut self, name: &'static str, error: impl Into<String>) {
        self.field(name).error = Some(error.into());
    }

    /// Returns the errors of the form, in the order of its fields, the error of the whole form
    /// first.
    pub(super) fn errors(&self) -> Vec<FormErrorView> {
        let mut errors: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, field)| {
                let message = field.error.clone()?;
                let known = LABELS.iter().find(|(known, ..)| known == name);
                let (field, label) = known.map_or((None, ""), |(_, id, label)| (Some(*id), *label));
                Some(FormErrorView { field, label, message })
            })
            .collect();
        errors.sort_by_key(|error| error.field.is_some());
        errors
    }

    fn get(&self, name: &str) -> Option<&FieldView> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut FieldView> {
        self.0.iter_mut().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    /// Returns the field of this name, which is added if the form lacks it.
    fn field(&mut self, name: &'static str) -> &mut FieldView {
        let position = self.0.iter().position(|(known, _)| *known == name);
        let position = position.unwrap_or_else(|| {
            self.0.push((name, FieldView::default()));
            self.0.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the entry was found or added above")]
        &mut self.0[position].1
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
