//! `sentinel templates`: checks the operator's templates.

use clap::Subcommand;
use serde::Serialize;

use super::failure::Failure;
use super::global::Global;
use super::output;
use crate::web::management::samples;
use crate::web::templates::{TemplateError, Templates};

#[derive(Debug, Subcommand)]
pub(super) enum TemplatesCommand {
    /// Renders every template with sample data, including those of templates.dir
    Check,
}

/// Output of `sentinel templates check --json`.
#[derive(Serialize)]
struct TemplateReportJson<'a> {
    ok: bool,
    /// Number of templates and styles that were checked.
    count: usize,
    /// Names of the templates and styles that come from `templates.dir`.
    own: &'a [String],
    errors: &'a [TemplateError],
}

impl TemplatesCommand {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let Self::Check = self;
        let templates = match Templates::load(global.settings()?.templates.dir, samples) {
            Ok(templates) => templates,
            Err(errors) => {
                if global.json {
                    output::json(&TemplateReportJson {
                        ok: false,
                        count: 0,
                        own: &[],
                        errors: &errors.0,
                    })?;
                }
                return Err(Failure::config(errors));
            }
        };
        let checked = templates.checked();
        if global.json {
            let (count, own) = (checked.count, &checked.own);
            return output::json(&TemplateReportJson { ok: true, count, own, errors: &[] });
        }
        output::line(format!("{} templates and styles are valid", checked.count))?;
        for name in &checked.own {
            output::line(format!("from templates.dir: {name}"))?;
        }
        Ok(())
    }
}
