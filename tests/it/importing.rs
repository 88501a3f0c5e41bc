//! Tests of `sentinel import flask-sentinel`.

mod failures;
mod flask_sentinel;
mod moving;
mod odd;
mod spaces;
mod target;
