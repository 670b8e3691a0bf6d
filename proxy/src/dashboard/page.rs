//! The files of the page, as they were when this binary was built.
//!
//! They are embedded in every build, debug builds too: a binary then means the same wherever it is
//! put, and the tests test what is shipped. Whoever works on the page uses its own development
//! server, which relays `/api`. `build.rs` has the crate rebuilt when the files change. The larger ones
//! are embedded compressed as well, so that nothing is compressed while somebody waits.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::web::HttpError;

#[derive(RustEmbed)]
#[folder = "../dashboard/dist"]
#[allow_missing = true]
struct Files;

const INDEX: &str = "index.html";
/// Their names have a hash of their content, so a name never means anything else.
const HASHED: &str = "assets/";

/// The build leaves each larger file in these forms, too; the smallest first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Answers with the file that is asked for.
pub(crate) async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return wrong_method(&method).into_response();
    }
    let name = match uri.path().trim_start_matches('/') {
        "" => INDEX,
        name => name,
    };
    match Files::get(name) {
        Some(file) => answer(name, file, compressed(name, &headers), &headers),
        None if name == INDEX => not_built(),
        None => (StatusCode::NOT_FOUND, text("there is no such page\n")).into_response(),
    }
}

/// Returns the form of a file that the browser takes and that is the smallest, and what it is called.
fn compressed(name: &str, headers: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let (encoding, suffix) = ENCODINGS.into_iter().find(|(it, _)| takes(headers, it))?;
    Some((encoding, Files::get(&format!("{name}{suffix}"))?))
}

/// Tells whether `Accept-Encoding` names `encoding`, other than as not wanted.
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| item.split_once(';').unwrap_or((item, "")))
        .any(|(name, rest)| {
            let weight = rest.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
            name.trim().eq_ignore_ascii_case(encoding) && weight.is_ok_and(|it| 0.0 < it)
        })
}

fn answer(
    name: &str,
    file: EmbeddedFile,
    compressed: Option<(&'static str, EmbeddedFile)>,
    headers: &HeaderMap,
) -> Response {
    let kind = type_of(&file.metadata);
    let (encoding, file) = compressed.map_or((None, file), |(name, it)| (Some(name), it));
    let tag = tag_of(&file);
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|known| known.to_str().ok())
        .flat_map(|known| known.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let cache =
        if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data.into_owned()).into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding.filter(|_| !is_known) {
        fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        fields.insert(header::ETAG, tag);
    }
    if !is_known && let Ok(kind) = HeaderValue::from_str(&kind) {
        fields.insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Returns a tag that changes with the content: the first half of its hash.
fn tag_of(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let digits: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn type_of(metadata: &rust_embed::Metadata) -> String {
    let kind = metadata.mimetype();
    if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

fn not_built() -> Response {
    let html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
                <title>Bascule: page not built</title>\n\
                <h1>The page is not part of this binary</h1>\n\
                <p>It was built without the dashboard's files. To have them:</p>\n\
                <pre>make dashboard\ncargo build</pre>\n\
                <p>Everything else works: ask the sidecar, for example at \
                <a href=\"/api/proxy/health\">/api/proxy/health</a>.</p>\n</html>\n";
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, html).into_response()
}

fn text(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn wrong_method(method: &Method) -> HttpError {
    let message = format!("{method} is not allowed here");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, "use GET")
        .with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn file(kind: &str) -> EmbeddedFile {
        let metadata = rust_embed::Metadata::__rust_embed_new([7; 32], None, None, "text/css");
        assert_eq!(kind, "text/css");
        EmbeddedFile { data: Cow::Borrowed(b"a{}"), metadata }
    }

    fn answered(name: &str, headers: &HeaderMap) -> Response {
        answer(name, file("text/css"), None, headers)
    }

    fn taking(encodings: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, encodings.parse().unwrap());
        headers
    }

    #[test]
    fn a_compressed_form_is_sent_to_who_takes_it_as_what_it_is() {
        let smaller = Some(("br", file("text/css")));
        let response = answer("assets/a-1.css", file("text/css"), smaller, &taking("br"));
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
        let response = answered("assets/a-1.css", &HeaderMap::new());
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
    }

    #[test]
    fn what_a_browser_takes_is_read_from_its_list() {
        for (list, br, gzip) in [
            ("gzip, deflate, br, zstd", true, true),
            ("gzip;q=1.0, BR;q=0.5", true, true),
            ("gzip, br;q=0", false, true),
            ("br;q=x", false, false),
            ("brotli, identity", false, false),
            ("", false, false),
        ] {
            let headers = taking(list);
            assert_eq!((takes(&headers, "br"), takes(&headers, "gzip")), (br, gzip), "{list}");
        }
        assert!(!takes(&HeaderMap::new(), "br"));
    }

    fn asked(if_none_match: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, if_none_match.parse().unwrap());
        headers
    }

    #[test]
    fn a_hashed_file_is_kept_for_ever_and_others_are_asked_for_again() {
        let cache = |name| {
            let response = answered(name, &HeaderMap::new());
            response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert!(cache("assets/a-1.css").contains("immutable"));
        assert_eq!(cache("index.html"), "no-cache");
        assert_eq!(cache("favicon.svg"), "no-cache");
    }

    #[test]
    fn a_file_has_its_type_and_a_tag() {
        let response = answered("assets/a-1.css", &HeaderMap::new());
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        let tag = response.headers()[header::ETAG].to_str().unwrap();
        assert_eq!(tag, format!("\"{}\"", "07".repeat(16)));
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        let tag = tag_of(&file("text/css"));
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let response = answered("index.html", &asked(&known));
            assert_eq!(response.status(), 304, "{known}");
            assert!(!response.headers().contains_key(header::CONTENT_TYPE));
        }
        assert_eq!(answered("index.html", &asked("\"x\"")).status(), 200);
    }

    #[tokio::test]
    async fn nothing_outside_the_page_is_served() {
        for path in ["/../Cargo.toml", "/assets/../../Cargo.toml", "/nothing", "//etc/passwd"] {
            let response = page(Method::GET, path.parse().unwrap(), HeaderMap::new()).await;
            assert_eq!(response.status(), 404, "{path}");
        }
        let response = page(Method::POST, "/".parse().unwrap(), HeaderMap::new()).await;
        assert_eq!(response.status(), 405);
    }

    #[test]
    fn a_missing_page_says_how_to_build_it() {
        let response = not_built();
        assert_eq!(response.status(), 503);
    }
}
