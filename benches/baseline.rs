//! What the HTTP framework alone does: parse the same request, answer the same bytes.

use std::io::Write as _;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    Introspection,
    Verify,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Introspection => "introspection",
            Self::Verify => "verify",
        }
    }
}

#[derive(Deserialize)]
struct Form {
    token: String,
}

/// Serves on a port that it prints, until it is killed.
pub fn serve(kind: Kind, body: String) -> Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let app = App::new().app_data(web::Data::new(body.clone()));
            match kind {
                Kind::Introspection => app
                    .service(web::resource("/oauth/introspect").route(web::post().to(introspect))),
                Kind::Verify => {
                    app.service(web::resource("/oauth/verify").route(web::get().to(verify)))
                }
            }
        });
        let server = server.workers(1).bind("127.0.0.1:0")?;
        let address = *server.addrs().first().context("bound to nothing")?;
        println!("{address}");
        std::io::stdout().flush()?;
        Ok(server.run().await?)
    })
}

async fn introspect(form: web::Form<Form>, body: web::Data<String>) -> HttpResponse {
    std::hint::black_box(&form.token);
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .insert_header(("pragma", "no-cache"))
        .content_type("application/json")
        .body(body.as_str().to_owned())
}

/// The headers that Sentinel sends come as lines of `name: value`.
async fn verify(body: web::Data<String>) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    for (name, value) in body.lines().filter_map(|line| line.split_once(": ")) {
        response.insert_header((name, value));
    }
    response.finish()
}
