//! `sentinel serve --dev`: a server for development, with demo data.
//!
//! An empty store gets a demo client, a resource server and a user. Their credentials are generated
//! once and kept in a file beside the store that only its owner can read, so that the printed
//! commands still work after a restart.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::output;
use crate::admin::{Admin, NewClient, NewUser};
use crate::app::{Application, data_folder, password_policy};
use crate::domain::ClientSecret;
use crate::observe::actor::Actor;
use crate::password::Hasher;
use crate::settings::{Backend, Bind, Settings, TlsMode};
use crate::store::Page;
use crate::web::{self_signed, tls};

/// Returns the settings that `--dev` applies if the operator has not set them.
///
/// # Errors
/// Fails if the generated operator password cannot be read or written.
pub(super) fn defaults(settings: &Settings) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut defaults = vec![("tls.mode", "self-signed".to_owned())];
    let port = settings.server.bind.iter().find_map(|bind| match bind {
        Bind::Tcp(address) => address.rsplit_once(':').map(|(_, port)| port),
        Bind::Unix(_) => None,
    });
    // If the system chooses the port, neither the port nor the URL is known yet.
    if let Some(port) = port.filter(|port| *port != "0") {
        defaults.push(("server.public_url", format!("https://localhost:{port}")));
    }
    let management = &settings.management;
    if management.url.is_some() && management.credentials().is_none() {
        defaults.push(("management.username", OPERATOR.to_owned()));
        defaults.push(("management.password", operator_password(settings)?));
    }
    Ok(defaults)
}

const USERNAME: &str = "demo";
const OPERATOR: &str = "operator";
const OPERATOR_FILE: &str = "dev-operator-password";

/// Returns the generated password of the operator, kept in a file and so the same at every start.
fn operator_password(settings: &Settings) -> Result<String, Failure> {
    let file = data_folder(settings).join(OPERATOR_FILE);
    if let Some(password) = read(&file)?.filter(|password| !password.is_empty()) {
        return Ok(password);
    }
    let password = generate_password()?;
    write(&file, password.expose_secret())?;
    Ok(password.expose_secret().to_owned())
}

/// Generates a password of 16 letters and digits.
fn generate_password() -> Result<SecretString, Failure> {
    let secret = ClientSecret::generate().map_err(Failure::unavailable)?;
    let letters = secret.expose_secret().trim_start_matches("sns_").chars().take(16);
    Ok(SecretString::from(letters.collect::<String>()))
}

/// Credentials of the demo user and of both demo clients, as the credentials file contains them.
#[derive(Serialize, Deserialize)]
struct DemoCredentials {
    username: String,
    password: String,
    client_id: String,
    resource_server_id: String,
    resource_server_secret: String,
}

/// Adds the demo data to an empty store, and prints commands to try.
pub(super) async fn prepare_demo(
    settings: &Settings,
    application: &Application,
) -> Result<(), Failure> {
    let file = data_folder(settings).join("dev-credentials.json");
    let admin = application.admin();
    let demo = match load(&file)? {
        Some(demo) if is_usable(settings, admin, &demo).await? => Some(demo),
        _ if is_empty(admin).await? => {
            let demo = Actor::COMMAND_LINE.scope(add_demo_data(settings, admin)).await?;
            save(&file, &demo)?;
            Some(demo)
        }
        _ => None,
    };
    let base = base_url(settings, application);
    let certificate = match settings.tls.mode {
        TlsMode::SelfSigned => Some(absolute_path(&self_signed::path(data_folder(settings)))),
        _ => None,
    };
    let page = describe_management_page(settings, &base)?;
    let mut text = describe_server(&base, certificate.as_deref(), &page);
    text.push_str(&match demo {
        Some(demo) => format_commands(settings, &base, certificate.as_deref(), &demo),
        None => format!(
            "The store {} already has users or clients, so no demo data was added.\n",
            describe_store(settings)
        ),
    });
    // The server is of use without these commands.
    if let Err(failure) = output::line(text) {
        tracing::warn!(why = failure.message(), "the commands to paste could not be printed");
    }
    Ok(())
}

/// Returns a line with the address and user name of the management page, and the password if it was
/// generated.
fn describe_management_page(settings: &Settings, base: &str) -> Result<String, Failure> {
    let management = &settings.management;
    let Some((path, (username, password))) =
        management.path(&settings.oauth).zip(management.credentials())
    else {
        return Ok(String::new());
    };
    let page = format!("Management page: {base}{path}, user {username}");
    let generated = read(&data_folder(settings).join(OPERATOR_FILE))?;
    Ok(match generated.filter(|generated| generated == password.expose_secret()) {
        Some(password) => format!("{page}, password {password}\n"),
        None => format!("{page}\n"),
    })
}

/// Returns the path or the database name of the store, for the printed text.
fn describe_store(settings: &Settings) -> String {
    match settings.store.backend {
        Backend::Embedded => settings.store.path.display().to_string(),
        Backend::Mongodb => format!("in the MongoDB database {}", settings.mongo.dbname),
    }
}

/// Loads the demo credentials from `file`, if it exists. Fails if the file is damaged, so that it
/// is not overwritten silently.
fn load(file: &Path) -> Result<Option<DemoCredentials>, Failure> {
    let Some(text) = read(file)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::config(format!(
            "{} is not a valid file of demo credentials: {error}",
            file.display()
        ))
    })
}

fn save(file: &Path, demo: &DemoCredentials) -> Result<(), Failure> {
    write(file, &serde_json::to_string_pretty(demo).map_err(Failure::io)?)
}

/// Returns the content of a file; `None` if the file does not exist.
fn read(file: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("cannot read {}: {error}", file.display()))),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    tls::write_private(file, text)
        .map_err(|error| Failure::io(format!("cannot write {}: {error}", file.display())))
}

/// Returns whether the demo user and client exist, and the user's password is still the generated
/// one.
async fn is_usable(
    settings: &Settings,
    admin: &Admin,
    demo: &DemoCredentials,
) -> Result<bool, Failure> {
    let Ok(user) = admin.user(&demo.username).await else { return Ok(false) };
    if admin.client(&demo.client_id).await.is_err() {
        return Ok(false);
    }
    let mut hasher = Hasher::new(password_policy(&settings.password)).map_err(Failure::config)?;
    let password = SecretString::from(demo.password.as_str());
    let matches = hasher.verify(&password, &user.password);
    Ok(matches.is_ok_and(|matches| matches))
}

async fn is_empty(admin: &Admin) -> Result<bool, Failure> {
    let page = Page::first(1);
    Ok(admin.users("", &page).await?.items.is_empty()
        && admin.clients("", &page).await?.items.is_empty())
}

async fn add_demo_data(settings: &Settings, admin: &Admin) -> Result<DemoCredentials, Failure> {
    let scopes = "read write".parse().map_err(Failure::config)?;
    let (client, _) = admin
        .add_client(NewClient {
            name: "Demo app".to_owned(),
            default_scopes: scopes,
            ..NewClient::default()
        })
        .await?;
    let (server, secret) = admin
        .add_client(NewClient {
            name: "Demo resource server".to_owned(),
            confidential: true,
            introspection: true,
            ..NewClient::default()
        })
        .await?;
    let password = generate_password()?;
    let mut hasher = Hasher::new(password_policy(&settings.password)).map_err(Failure::config)?;
    admin
        .add_user(NewUser {
            username: USERNAME.to_owned(),
            password: hasher.hash(&password).map_err(Failure::unavailable)?,
            scopes: None,
            enabled: true,
        })
        .await?;
    Ok(DemoCredentials {
        username: USERNAME.to_owned(),
        password: password.expose_secret().to_owned(),
        client_id: client.id.to_string(),
        resource_server_id: server.id.to_string(),
        resource_server_secret: secret
            .map(|secret| secret.expose_secret().to_owned())
            .unwrap_or_default(),
    })
}

/// Returns the server's URL, with the host name in its certificate and the port it listens on.
fn base_url(settings: &Settings, application: &Application) -> String {
    let scheme = if settings.tls.mode == TlsMode::Off { "http" } else { "https" };
    let port = application.addresses().first().map_or(5000, std::net::SocketAddr::port);
    format!("{scheme}://localhost:{port}")
}

fn absolute_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns the address of the server, the path of its certificate, and the line `page` about the
/// management page.
fn describe_server(base: &str, certificate: Option<&Path>, page: &str) -> String {
    let mut text = format!("\nSentinel for development at {base}/\n");
    if let Some(path) = certificate {
        let _ = writeln!(text, "Certificate, for clients to trust: {}", path.display());
    }
    text + page
}

/// Returns commands to paste. The shell keeps the tokens in variables, so that every line works
/// unchanged. The commands have no comments, which zsh rejects in pasted lines.
fn format_commands(
    settings: &Settings,
    base: &str,
    certificate: Option<&Path>,
    demo: &DemoCredentials,
) -> String {
    let oauth = &settings.oauth;
    let mut curl = "curl -sS".to_owned();
    if let Some(path) = certificate {
        let _ = write!(curl, " --cacert '{}'", path.display());
    }
    let (Some(token), Some(introspect), Some(verify)) =
        (oauth.token_path(), oauth.introspection_path(), oauth.verify_path())
    else {
        return "An endpoint is switched off, so there are no commands to paste.\n".to_owned();
    };
    let DemoCredentials { username, password, client_id, .. } = demo;
    let (server, secret) = (&demo.resource_server_id, &demo.resource_server_secret);
    format!(
        r#"
Log in as the demo user, and keep the tokens:

TOKENS=$({curl} {base}{token} -d grant_type=password -d client_id={client_id} -d username={username} -d password={password}); echo "$TOKENS"
ACCESS=$(echo "$TOKENS" | sed 's/.*"access_token":"\([^"]*\)".*/\1/'); REFRESH=$(echo "$TOKENS" | sed 's/.*"refresh_token":"\([^"]*\)".*/\1/')

Look up the token, as a resource server does and as nginx does:

{curl} {base}{introspect} -u {server}:{secret} -d token=$ACCESS; echo
{curl} -i {base}{verify} -H "Authorization: Bearer $ACCESS"

Refresh the token:

{curl} {base}{token} -d grant_type=refresh_token -d client_id={client_id} -d refresh_token=$REFRESH; echo
"#
    )
}
