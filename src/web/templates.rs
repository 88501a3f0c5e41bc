//! Templates: the built-in ones, and those of the operator that replace them.
//!
//! A file in `templates.dir` replaces the built-in template of the same name. All templates are
//! loaded and rendered with sample data before the first request, and again by
//! [`Templates::reload`]. Not here: the contents of the pages.

mod assets;
mod error;
mod files;
mod jinja;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tera::{Context, Tera, TeraResult};

pub use assets::Assets;
pub use error::{TemplateError, TemplateErrors};

use super::errors_page::ErrorsPage;
use super::landing_page;
use super::reload::{Reload, ReloadError};

/// Returns an array of built-in templates or styles: pairs of file name and content. A file of the
/// operator with this name replaces the built-in one.
macro_rules! built_in {
    ($folder:literal: $($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../", $folder, "/", $name)))),*]
    };
}

/// Built-in HTML templates: pairs of file name and content.
const TEMPLATES: [(&str, &str); 20] = built_in!("templates":
    "errors.html",
    "landing.html",
    "management.html",
    "management/client.html",
    "management/client_delete.html",
    "management/client_new.html",
    "management/client_secret.html",
    "management/client_secret_new.html",
    "management/clients.html",
    "management/form_parts.html",
    "management/layout.html",
    "management/message.html",
    "management/parts.html",
    "management/refused.html",
    "management/sessions.html",
    "management/sessions_end.html",
    "management/user.html",
    "management/user_delete.html",
    "management/user_new.html",
    "management/users.html",
);

/// Built-in style sheets, for pages that link or embed them: pairs of file name and content.
const STYLES: [(&str, &str); 2] = built_in!("static": "errors.css", "management.css");

/// File name of an HTML template, and sample data with which the template is rendered as a check.
pub type Sample = (&'static str, TeraResult<Context>);

/// Function that returns template samples for all pages, which link the given style and icon.
pub type Samples = fn(&Assets) -> Vec<Sample>;

/// HTML templates and style sheets of the server, built-in or the operator's own, for all pages.
#[derive(Debug)]
pub struct Templates {
    dir: Option<PathBuf>,
    samples: Samples,
    current: RwLock<Arc<Set>>,
}

/// Summary of the templates and style sheets after a successful check of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Number of built-in templates and style sheets.
    pub count: usize,
    /// File names of the operator's own templates and style sheets.
    pub own: Vec<String>,
}

impl Templates {
    /// Loads and checks all HTML templates. `dir` is the folder of the operator's own templates,
    /// and `samples` returns the sample data with which every template is rendered as a check.
    ///
    /// # Errors
    /// Returns [`TemplateErrors`] if a file cannot be read, or a template cannot be parsed or
    /// rendered.
    pub fn load(dir: Option<PathBuf>, samples: Samples) -> Result<Self, TemplateErrors> {
        let current = RwLock::new(Arc::new(Set::load(dir.as_deref(), samples)?));
        Ok(Self { dir, samples, current })
    }

    /// Loads and checks all templates again. The previous templates stay in use if any is invalid.
    ///
    /// # Errors
    /// Returns [`TemplateErrors`] if a file cannot be read, or a template cannot be parsed or
    /// rendered.
    pub fn reload(&self) -> Result<(), TemplateErrors> {
        let new = Arc::new(Set::load(self.dir.as_deref(), self.samples)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Returns the number of built-in templates and styles, and the names of the operator's own.
    pub fn checked(&self) -> Checked {
        let set = self.current();
        let count = TEMPLATES.len() + STYLES.len();
        Checked { count, own: set.own.clone() }
    }

    /// Returns the templates and style sheets in use.
    pub(super) fn current(&self) -> Arc<Set> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reload for Templates {
    fn name(&self) -> &'static str {
        "the templates"
    }

    fn reload(&self) -> Result<(), ReloadError> {
        Ok(Self::reload(self)?)
    }
}

/// Templates and style sheets that were loaded and checked together.
#[derive(Debug)]
pub(super) struct Set {
    tera: Tera,
    /// Template engine with built-in templates only; `None` if the operator has no own files.
    built_in: Option<Tera>,
    own: Vec<String>,
    pub(super) errors_page: ErrorsPage,
    /// Style of the pages for everyone, which have it inline.
    pub(super) public_style: String,
    pub(super) assets: Assets,
}

impl Set {
    fn load(dir: Option<&Path>, samples: Samples) -> Result<Self, TemplateErrors> {
        let failed = |error: &tera::Error| TemplateErrors(TemplateError::all(error, dir));
        let mut tera = Tera::new();
        jinja::register(&mut tera);
        tera.add_raw_templates(TEMPLATES).map_err(|error| failed(&error))?;
        let files = dir.map(files::read).transpose()?.unwrap_or_default();
        let own: Vec<String> = files.keys().cloned().collect();
        let built_in = (!own.is_empty()).then(|| tera.clone());
        let pages = files.iter().filter(|(name, _)| name.ends_with(".html"));
        tera.add_raw_templates(pages).map_err(|error| failed(&error))?;
        let style = |name: &str| {
            let built_in = STYLES.iter().find(|(known, _)| *known == name);
            let text = files.get(name).map(String::as_str);
            text.or_else(|| built_in.map(|(_, text)| *text)).unwrap_or_default().to_owned()
        };
        let assets = Assets::new(style("management.css"));
        let public_style = style("errors.css");
        let errors_page = ErrorsPage::render(&tera, &public_style);
        let errors_page = errors_page.map_err(|error| failed(&error))?;
        let set = Self { tera, built_in, own, errors_page, public_style, assets };
        let landing = landing_page::samples(&set.public_style);
        let wrong = set.check(samples(&set.assets).into_iter().chain(landing).collect());
        let wrong: Vec<_> = wrong.iter().flat_map(|error| TemplateError::all(error, dir)).collect();
        if wrong.is_empty() { Ok(set) } else { Err(TemplateErrors(wrong)) }
    }

    /// Returns whether the operator has templates or style sheets of their own.
    pub(super) const fn has_own(&self) -> bool {
        self.built_in.is_some()
    }

    /// Renders every HTML template with its sample data, and returns the errors of those that fail.
    fn check(&self, samples: Vec<Sample>) -> Vec<tera::Error> {
        let failed = |(name, context): Sample| {
            context.and_then(|context| self.tera.render(name, &context)).err()
        };
        samples.into_iter().filter_map(failed).collect()
    }

    /// Renders the template `name` to HTML. Sample data cannot reveal every error: if a template of
    /// the operator fails, the error is logged and the built-in template is rendered instead.
    pub(super) fn render(&self, name: &str, context: &Context) -> TeraResult<String> {
        let Some(built_in) = &self.built_in else { return self.tera.render(name, context) };
        self.tera.render(name, context).or_else(|error| {
            let error = TemplateError::of(&error, None);
            tracing::error!(
                "a template in templates.dir failed, so the built-in one was shown: {error}"
            );
            built_in.render(name, context)
        })
    }
}
