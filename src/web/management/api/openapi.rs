//! `/openapi.json`: OpenAPI 3.1 description of the API, generated from the code of its handlers.
//!
//! Responses of a single route are declared at its handler. Responses that many routes have in
//! common are added here, depending on the parameters and the body of each operation.

use actix_web::HttpResponse;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{
    AllOf, AnyOf, AnyOfBuilder, Array, ArrayItems, ObjectBuilder, Schema, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Header, Object, Ref, RefOr, Response, Server};
use utoipa::{Modify, OpenApi, ToSchema};

use super::context::{ApiResult, Context, url};
use super::fields::Password;
use super::problem::{PROBLEM_JSON, ProblemJson};
use super::{clients, sessions, users};

const IF_MATCH: &str = "If-Match";
const IF_NONE_MATCH: &str = "If-None-Match";

/// Returns this OpenAPI description of the management API.
#[utoipa::path(
    get, path = "/openapi.json", tag = "description", operation_id = "describe",
    responses((status = 200, description = "The OpenAPI document.", body = utoipa::openapi::Object))
)]
pub(super) async fn handle(context: Context) -> ApiResult {
    let (web, management, _) = context;
    let mut described = Description::openapi();
    require_length(&mut described, management.shortest_password());
    described.servers = Some(vec![Server::new(url(&web, &management, ""))]);
    Ok(HttpResponse::Ok().json(described))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sentinel management",
        description = "Operator API for the users, clients and sessions of a Sentinel server.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact()
    ),
    paths(
        users::list, users::add, users::show, users::edit, users::remove, users::set_password,
        clients::list, clients::add, clients::show, clients::edit, clients::remove,
        clients::rotate_secret,
        sessions::list, sessions::end_all, sessions::show, sessions::end,
        handle,
    ),
    components(schemas(ProblemJson)),
    tags(
        (name = "users", description = "Users (resource owners)."),
        (name = "clients", description = "Registered clients."),
        (name = "sessions", description = "Sessions with a live token."),
        (name = "description", description = "OpenAPI description of this API."),
    ),
    security(("operator" = [])),
    modifiers(&Common),
)]
struct Description;

/// Modifier of the OpenAPI description that adds the parts that many API routes have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, described: &mut utoipa::openapi::OpenApi) {
        let basic = Http::builder()
            .scheme(HttpAuthScheme::Basic)
            .description(Some("Operator's `management.username` and `management.password`."))
            .build();
        let components = described.components.get_or_insert_default();
        components.add_security_scheme("operator", SecurityScheme::Http(basic));
        for (name, schema) in &mut components.schemas {
            if let (Some(of), RefOr::T(listing)) = (name.strip_prefix("Listing_"), &mut *schema) {
                name_items(listing, of);
            }
        }
        if let Some(RefOr::T(client)) = components.schemas.remove("NewClient") {
            let narrowed = AllOf::builder()
                .item(client)
                .item(public_or_confidential())
                .item(introspection_or_access_tokens_only());
            components.schemas.insert("NewClient".to_owned(), narrowed.into());
        }
        for item in described.paths.paths.values_mut() {
            add_refusals(item.get.as_mut(), false);
            for operation in [&mut item.post, &mut item.patch, &mut item.delete] {
                add_refusals(operation.as_mut(), true);
            }
        }
    }
}

/// Sets the minimum length of passwords in the OpenAPI description to the configured number.
fn require_length(described: &mut utoipa::openapi::OpenApi, characters: usize) {
    let schemas = described.components.as_mut().map(|components| &mut components.schemas);
    let password = schemas.and_then(|schemas| schemas.get_mut(&*Password::name()));
    if let Some(RefOr::T(Schema::Object(password))) = password {
        password.min_length = Some(characters);
    }
}

/// Makes the items of a list in the OpenAPI description refer to the schema named `of`, which
/// describes one user, client or session.
fn name_items(listing: &mut Schema, of: &str) {
    let Schema::Object(listing) = listing else { return };
    if let Some(RefOr::T(Schema::Array(items))) = listing.properties.get_mut("items") {
        items.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(of).into()));
    }
}

/// Returns an OpenAPI schema that limits the client credentials grant (RFC 6749 §4.4) and
/// introspection to confidential clients.
fn public_or_confidential() -> AnyOfBuilder {
    let one_of = |values: &[&str]| {
        let values = Some(values.iter().copied());
        Object::builder().schema_type(Type::String).enum_values(values)
    };
    let grants = Array::builder().items(one_of(&["password", "refresh_token"]));
    AnyOf::builder()
        .item(Object::builder().property("type", one_of(&["confidential"])))
        .item(Object::builder().property("grants", grants).property("introspection", only(false)))
}

/// Returns an OpenAPI schema that permits the introspection of refresh tokens only beside
/// introspection.
fn introspection_or_access_tokens_only() -> AnyOfBuilder {
    let introspection = Object::builder().property("introspection", only(true));
    AnyOf::builder()
        .item(introspection.required("introspection"))
        .item(Object::builder().property("introspect_refresh_tokens", only(false)))
}

/// Returns an OpenAPI schema with the one Boolean value `value`.
fn only(value: bool) -> ObjectBuilder {
    Object::builder().schema_type(Type::Boolean).enum_values(Some([value]))
}

/// Adds to the OpenAPI description of an operation the error responses (and 304) that the operation
/// may return, unless the handler declares them. `changes` is true if the operation changes data.
fn add_refusals(operation: Option<&mut Operation>, changes: bool) {
    let Some(operation) = operation else { return };
    let (mut path, mut query, mut if_match, mut if_none_match) = (false, false, false, false);
    for parameter in operation.parameters.iter().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        path |= parameter.parameter_in == ParameterIn::Path;
        query |= parameter.parameter_in == ParameterIn::Query;
        if_match |= parameter.name == IF_MATCH;
        if_none_match |= parameter.name == IF_NONE_MATCH;
    }
    let body = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    for (applies, status, description) in [
        (if_none_match, "304", "The record is unchanged: its `ETag` is in `If-None-Match`."),
        (body || query, "400", "The request is malformed."),
        (true, "401", "The operator's credentials are missing or wrong."),
        (changes, "403", "Another site made a browser send the request."),
        (path, "404", "The record does not exist."),
        (body, "408", "The body did not arrive in time."),
        (if_match, "412", "The `ETag` of the record is not in `If-Match`."),
        (body, "413", "The body is larger than `server.max_body`."),
        (body, "415", "The media type or the encoding of the body is not supported."),
        (body, "422", "A value in the body is invalid; `errors` has its position."),
        (true, "429", "Too many attempts at the operator's password have failed."),
        (true, "503", "The store is unavailable, or too many passwords are waiting to be hashed."),
    ] {
        if applies {
            let response = || RefOr::T(Response::new(description));
            responses.entry(status.to_owned()).or_insert_with(response);
        }
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with('4') || status.starts_with('5') {
            let problem: RefOr<Schema> = Ref::from_schema_name(ProblemJson::name()).into();
            let declared = match response.content.get(PROBLEM_JSON) {
                Some(RefOr::T(content)) => content.schema.clone(),
                _ => None,
            };
            let schema = match declared {
                Some(declared) => AnyOf::builder().item(problem).item(declared).into(),
                None => problem,
            };
            let content = Content::new(Some(schema));
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(content));
        }
        for (of, header, description) in [
            ("401", "WWW-Authenticate", "Challenge for HTTP Basic (RFC 7617)."),
            ("429", "Retry-After", "Time after which to try again, in seconds."),
            ("503", "Retry-After", "Time after which to try again, in seconds."),
        ] {
            if of == status {
                let header_of = Header::builder().description(Some(description)).build();
                response.headers.insert(header.to_owned(), RefOr::T(header_of));
            }
        }
    }
}
