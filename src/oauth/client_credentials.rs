//! The client credentials grant (RFC 6749 §4.4).

use super::{ClientFailure, Error, Provider, Request, audit, scope};
use crate::domain::{Client, IssuedTokens};

pub(super) async fn grant(
    provider: &Provider,
    client: &Client,
    request: &Request<'_>,
) -> Result<IssuedTokens, Error> {
    // RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
    if !client.is_confidential() {
        return Err(Error::UnauthorizedClient);
    }
    let requested = scope::requested(request.params)?;
    let scope = scope::granted(requested, client, None)?;
    let tokens = provider.start_session(client, None, scope, request).await?;
    tokens.ok_or_else(|| {
        let failure = ClientFailure::Disabled;
        audit::client_refused(Some(&client.id), failure, request.address);
        Error::InvalidClient(failure)
    })
}
