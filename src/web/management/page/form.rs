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
    /// What was typed, in words, where the value is what is there now instead.
    pub(super) typed: Option<String>,
    #[serde(skip)]
    is_box: bool,
}

impl Field {
    fn in_words(&self) -> String {
        match (self.is_box, &*self.value) {
            (true, "") => "You had not ticked it.".to_owned(),
            (true, _) => "You had ticked it.".to_owned(),
            (false, "") => "You had left it empty.".to_owned(),
            (false, text) => format!("You had entered “{text}”."),
        }
    }
}

/// The fields of a form, by name.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Form(BTreeMap<&'static str, Field>);

impl Form {
    /// Puts a field in, as it was typed.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, Field { value: value.into(), ..Field::default() });
        self
    }

    /// The same for a box.
    pub(super) fn with_box(mut self, name: &'static str, ticked: bool) -> Self {
        let value = if ticked { "on" } else { "" }.to_owned();
        self.0.insert(name, Field { value, is_box: true, ..Field::default() });
        self
    }

    /// Says beside the fields, but for these, what was typed where that is something else.
    pub(super) fn beside(mut self, typed: &Self, but: &[&str]) -> Self {
        for (name, field) in self.0.iter_mut().filter(|(name, _)| !but.contains(*name)) {
            let other = typed.0.get(name).filter(|other| other.value != field.value);
            field.typed = other.map(Field::in_words);
        }
        self
    }

    /// Says so in these words, where [`Self::beside`] has found something.
    pub(super) fn beside_in_words(&mut self, name: &str, words: &str) {
        if let Some(typed) = self.0.get_mut(name).and_then(|field| field.typed.as_mut()) {
            words.clone_into(typed);
        }
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
