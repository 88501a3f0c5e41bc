//! Jinja filters that Tera has under another name only. Templates for flask-sentinel were written
//! for Jinja.

use tera::{Kwargs, State, StringInput, Tera, TeraResult, Value};

pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("e", escape);
    tera.register_filter("count", length);
}

/// Implements Jinja's template filter `e`, the alias of `escape`. Marks the result as safe, so that
/// it is not escaped twice.
fn escape(text: StringInput<'_>, _: Kwargs, state: &State<'_>) -> TeraResult<Value> {
    if text.is_safe() {
        return Ok(text.into_value());
    }
    Ok(Value::safe_string(&state.escape(text.as_str())?))
}

/// Implements Jinja's template filter `count`, the alias of `length`.
fn length(value: &Value, _: Kwargs, _: &State<'_>) -> TeraResult<usize> {
    let none = || tera::Error::message(format!("a value of type {} has no length", value.name()));
    value.len().ok_or_else(none)
}
