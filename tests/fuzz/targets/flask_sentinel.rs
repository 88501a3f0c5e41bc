//! Documents of a flask-sentinel database: each is imported or counted in the report, a dry run
//! reports the same as the real run, and a second run imports nothing.

use mongodb::bson::{Binary, Bson, DateTime, Document, oid::ObjectId, spec::BinarySubtype};
use sentinel::domain::{Timestamp, Token, TokenKind};
use sentinel::import::flask_sentinel::{Collection, Import};
use sentinel::import::{ImportCounts, ImportReport};
use sentinel::store::sqlite::SqliteStore;
use sentinel::store::{Page, Stores};
use serde_json::Value;

use super::world::{LIFETIMES, NOW, folder};

/// Reads a document from each line: the first letter of its collection, then JSON.
pub fn run(input: &[u8]) {
    let mut documents: Vec<_> = input.split(|byte| *byte == b'\n').filter_map(document).collect();
    documents.truncate(16);
    // In a collection of MongoDB, ids are unique.
    let key = |(collection, document): &(Collection, Document)| {
        (*collection as u8, document.get("_id").map(ToString::to_string))
    };
    documents.sort_by_key(key);
    documents.dedup_by_key(|document| key(document));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let trial = import(None, &documents, true).await;
        check_report(&trial, &documents);
        if [&trial.users, &trial.clients, &trial.tokens].iter().all(|counts| counts.imported == 0) {
            return;
        }
        let folder = folder();
        let stores = SqliteStore::open(&folder.path().join("db")).unwrap().into_stores();
        let report = import(Some(&stores), &documents, false).await;
        assert_eq!(ImportReport { dry_run: true, ..report.clone() }, trial, "{documents:?}");
        check_stores(&stores, &report, &documents).await;
        let again = import(Some(&stores), &documents, false).await;
        for (first, second) in counts(&report).into_iter().zip(counts(&again)) {
            assert_eq!(second.imported, 0, "{documents:?}");
            assert!(second.already_imported >= first.imported, "{documents:?}");
        }
    });
}

async fn import(
    stores: Option<&Stores>,
    documents: &[(Collection, Document)],
    dry_run: bool,
) -> ImportReport {
    let mut import = Import::new(stores.cloned(), LIFETIMES, NOW, dry_run);
    for (collection, document) in documents {
        import.import_document(*collection, document).await.unwrap();
    }
    import.into_report()
}

fn counts(report: &ImportReport) -> [&ImportCounts; 3] {
    [&report.users, &report.clients, &report.tokens]
}

fn check_report(report: &ImportReport, documents: &[(Collection, Document)]) {
    for (counts, collection) in counts(report).into_iter().zip(Collection::IN_ORDER) {
        let read = documents.iter().filter(|(own, _)| *own == collection).count() as u64;
        let reported = counts.imported
            + counts.already_imported
            + counts.expired
            + counts.skipped.len() as u64;
        assert_eq!((counts.read, reported), (read, read), "{documents:?}");
    }
    let message = serde_json::to_string(report).unwrap();
    for (collection, document) in documents.iter().filter(|(own, _)| *own != Collection::Clients) {
        for field in ["hashpw", "access_token", "refresh_token"] {
            let secret = document.get_str(field).unwrap_or_default();
            let is_one = secret.len() >= 30 && !is_shown_field(documents, secret);
            assert!(
                !is_one || !message.contains(secret),
                "{collection:?} {document:?} in {message}"
            );
        }
    }
}

/// Returns whether an id or a grant type, which a report may show, contains the text.
fn is_shown_field(documents: &[(Collection, Document)], text: &str) -> bool {
    documents.iter().any(|(_, document)| {
        document.iter().any(|(field, value)| {
            ["_id", "allowed_grant_types"].contains(&field.as_str())
                && value.to_string().contains(text)
        })
    })
}

/// Checks the number of imported records, and that each session belongs to a token of a document.
async fn check_stores(
    stores: &Stores,
    report: &ImportReport,
    documents: &[(Collection, Document)],
) {
    let all = Page::first(1000);
    let users = stores.listing.list_users("", &all).await.unwrap();
    let clients = stores.listing.list_clients("", &all).await.unwrap();
    let sessions = stores.listing.list_sessions(&Default::default(), &all).await.unwrap();
    let found = [users.len(), clients.len(), sessions.len()].map(|number| number as u64);
    assert_eq!(found, counts(report).map(|counts| counts.imported), "{documents:?}");
    for session in &sessions {
        assert!(session.access_tokens.len() <= 1 && session.expires_at() > NOW, "{session:?}");
        assert!(session.expires_at() <= session.ends_at, "{session:?}");
        assert!(session.user.is_some(), "{session:?}");
        let texts = documents.iter().filter_map(|(_, document)| {
            document.get_str("refresh_token").or(document.get_str("access_token")).ok()
        });
        let kinds = [TokenKind::Refresh, TokenKind::Access];
        let mut tokens =
            texts.flat_map(|text| kinds.map(|kind| Token::parse_legacy(text, kind))).flatten();
        assert!(tokens.any(|token| token.session_id() == session.id), "{documents:?}");
    }
}

fn document(line: &[u8]) -> Option<(Collection, Document)> {
    let (letter, json) = line.split_first()?;
    let collection = match letter {
        b'u' => Collection::Users,
        b'c' => Collection::Clients,
        _ => Collection::Tokens,
    };
    let Value::Object(members) = serde_json::from_slice(json).ok()? else { return None };
    let document: Document = members.into_iter().map(|(name, value)| (name, bson(value))).collect();
    document.contains_key("_id").then_some((collection, document))
}

/// Converts JSON to BSON. `{"$oid": "…"}`, `{"$date": 0}` and `{"$binary": "…"}` become BSON types.
fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(flag),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Bson::Double(number.as_f64().unwrap_or_default()), Bson::Int64),
        Value::String(text) => Bson::String(text),
        Value::Array(values) => Bson::Array(values.into_iter().map(bson).collect()),
        Value::Object(members) => special(&members).unwrap_or_else(|| {
            Bson::Document(members.into_iter().map(|(name, value)| (name, bson(value))).collect())
        }),
    }
}

fn special(members: &serde_json::Map<String, Value>) -> Option<Bson> {
    let text = |name: &str| members.get(name)?.as_str();
    if let Some(digits) = text("$oid") {
        return ObjectId::parse_str(digits).ok().map(Bson::ObjectId);
    }
    if let Some(bytes) = text("$binary") {
        let bytes = bytes.as_bytes().to_vec();
        return Some(Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }));
    }
    let millis = members.get("$date")?.as_i64()?;
    // Dates close to the clock's time are the most interesting ones.
    let at = Timestamp::from_millis(millis).as_millis().saturating_add(NOW.as_millis());
    Some(Bson::DateTime(DateTime::from_millis(at)))
}
