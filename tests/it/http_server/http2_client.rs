//! HTTP/2 client that returns the result of each stream.

use h2::client::SendRequest;
use http::{Request, Response};

use crate::overload::raw_connection::{PATIENCE, secured};

type Bytes = actix_web::web::Bytes;

pub struct Http2Client {
    requests: SendRequest<Bytes>,
}

impl Http2Client {
    pub async fn connect(address: &str) -> Self {
        let stream = secured(address, b"h2").await;
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { requests }
    }

    /// Sends a request and returns the status and body of its response.
    pub async fn send(
        &mut self,
        request: Request<()>,
        body: &[u8],
    ) -> Result<(u16, String), h2::Error> {
        let exchange = async {
            let mut requests = self.requests.clone().ready().await?;
            let (response, mut sending) = requests.send_request(request, body.is_empty())?;
            if !body.is_empty() {
                sending.send_data(Bytes::copy_from_slice(body), true)?;
            }
            read(response.await?).await
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("a response")
    }

    pub async fn get(&mut self, path: &str) -> (u16, String) {
        self.send(request("GET", path), b"").await.unwrap()
    }
}

async fn read(response: Response<h2::RecvStream>) -> Result<(u16, String), h2::Error> {
    let (head, mut body) = response.into_parts();
    let mut text = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        text.extend_from_slice(&chunk);
    }
    Ok((head.status.as_u16(), String::from_utf8(text).unwrap()))
}

/// Creates a request without further fields.
pub fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("https://localhost{path}");
    Request::builder().method(method).uri(uri).version(http::Version::HTTP_2).body(()).unwrap()
}
