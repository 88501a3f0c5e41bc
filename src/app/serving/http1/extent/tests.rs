use proptest::prelude::*;

use super::*;

const NEXT: &str = "GET /next HTTP/1.1\r\nhost: x\r\n\r\n";

/// How much of `request`, and of a next one behind it, is taken when it comes in pieces of these sizes.
fn taken(request: &str, sizes: &[usize]) -> usize {
    let all = [request, NEXT].concat();
    let mut rest = all.as_bytes();
    let mut extent = Extent::default();
    let mut sizes = sizes.iter().chain(std::iter::repeat(&usize::MAX));
    while !rest.is_empty() && !extent.is_whole() {
        let size = *sizes.next().unwrap();
        let piece = rest.get(..size).unwrap_or(rest);
        let taken = extent.take(piece);
        assert!(taken > 0 || piece.is_empty());
        rest = rest.split_at(taken).1;
    }
    all.len() - rest.len()
}

const REQUESTS: [&str; 10] = [
    "\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET / HTTP/1.1\nhost: x\n\n",
    "POST / HTTP/1.1\r\nContent-Length:5\r\n\r\na=b&c",
    "POST / HTTP/1.1\r\ncontent-length: 0\r\ncookie: y\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n1\r\n\n\r\n00\r\nx: y\r\n\r\n",
    // The head alone, where it cannot be told how long the body is.
    "POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
];

#[test]
fn a_request_ends_where_its_fields_say() {
    for request in REQUESTS {
        assert_eq!(taken(request, &[]), request.len(), "{request}");
    }
}

#[test]
fn chunks_that_cannot_be_told_end_it() {
    let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for (body, end) in [("x\r\n", 3), ("-1\r\n", 4), ("\r\n", 2), ("1\r\nab\r\n", 7)] {
        assert_eq!(taken(&format!("{head}{body}"), &[]), head.len() + end, "{body:?}");
    }
    let large = format!("{head}{}\r\n", "f".repeat(17));
    assert_eq!(taken(&large, &[]), large.len());
}

#[test]
fn no_more_of_a_line_is_kept_than_is_needed() {
    let long = "x".repeat(1000);
    for (beginning, most) in [
        ("GET /", FIELD),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;", SIZE),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", SIZE),
    ] {
        let mut extent = Extent::default();
        for piece in [beginning, &long, &long] {
            assert_eq!(extent.take(piece.as_bytes()), piece.len());
        }
        let (Extent::Head(line, _) | Extent::Chunks(line, _)) = &extent else {
            panic!("it is over behind {beginning}");
        };
        assert_eq!(line.0.len(), most);
    }
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_it_comes(
        request in prop::sample::select(&REQUESTS[..]),
        sizes in prop::collection::vec(1_usize..8, 0..40),
    ) {
        prop_assert_eq!(taken(request, &sizes), request.len());
    }

    #[test]
    fn nothing_stops_it(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut extent = Extent::default();
        let taken = extent.take(&octets);
        prop_assert!(taken == octets.len() || extent.is_whole());
    }
}
