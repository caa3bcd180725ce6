//! What is read from a request before its route runs: identity and the client's abilities.
//! Rules: `spec/http.md` sections 2 and 10.

use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{HeaderMap, HeaderName, Method};
use rand::Rng;
use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;
use super::{App, client};
use crate::config::processing::Negotiation;
use crate::options::ClientFeatures;

/// Facts about one request that its route and its log lines need; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RequestContext(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    facts: Facts,
    // Most requests of a server that does not log them need neither.
    logged_client: OnceLock<String>,
    logged_target: OnceLock<String>,
}

#[derive(Debug)]
pub(super) struct Facts {
    /// The server that it was sent to.
    pub(super) app: Arc<App>,
    /// Value of `X-Request-ID`.
    pub(super) id: String,
    /// The other end of the connection; `None` on a Unix socket.
    pub(super) peer: Option<IpAddr>,
    /// Request method.
    pub(super) method: Method,
    /// Request headers.
    pub(super) headers: Arc<HeaderMap>,
    /// Target as received.
    pub(super) target: String,
    /// Where in the target the path is.
    pub(super) path: Range<usize>,
    /// Which route answers.
    pub(super) endpoint: Endpoint,
    /// When the request was complete.
    pub(super) started: Instant,
    /// Fires when the client has gone.
    pub(super) closed: CancellationToken,
}

impl RequestContext {
    pub(super) fn new(facts: Facts) -> Self {
        Self(Arc::new(Shared {
            facts,
            logged_client: OnceLock::new(),
            logged_target: OnceLock::new(),
        }))
    }

    /// Path part of the target, undecoded.
    pub(super) fn raw_path(&self) -> &str {
        self.target.get(self.path.clone()).unwrap_or_default()
    }

    /// Who sent it, for the log.
    pub(super) fn logged_client(&self) -> &str {
        let logged = || client::logged(&self.headers, self.peer, &self.app.proxies);
        self.0.logged_client.get_or_init(logged)
    }

    /// Target as received, without secrets, for the log.
    pub(super) fn logged_target(&self) -> &str {
        let app = &self.app;
        let redaction = || app.redaction.get();
        self.0
            .logged_target
            .get_or_init(|| redaction().logged(&app.routes, self.endpoint, &self.target))
    }
}

impl std::ops::Deref for RequestContext {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0.facts
    }
}

/// The request's own ID, the load balancer's, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let own = headers.get(X_REQUEST_ID).and_then(|v| v.to_str().ok());
    own.filter(|id| is_request_id(id))
        .map(str::to_owned)
        .or_else(|| amazon_request_id(headers))
        .unwrap_or_else(nano_id)
}

/// What the client can show and how dense its screen is, as far as the configuration asks.
pub(super) fn client_features(
    headers: &HeaderMap,
    negotiation: Negotiation,
    client_hints: bool,
) -> ClientFeatures {
    let mut features = ClientFeatures {
        webp: (negotiation.auto_webp || negotiation.enforce_webp) && accepts(headers, "image/webp"),
        avif: (negotiation.auto_avif || negotiation.enforce_avif) && accepts(headers, "image/avif"),
        jxl: (negotiation.auto_jxl || negotiation.enforce_jxl) && accepts(headers, "image/jxl"),
        ..ClientFeatures::default()
    };
    if client_hints {
        features.dpr = hint(headers, ["sec-ch-dpr", "dpr"], |dpr: f64| {
            dpr > 0.0 && dpr <= 8.0
        });
        features.width = hint(headers, ["sec-ch-width", "width"], |width: u32| width > 0);
    }
    features
}

/// The `Vary` header that goes with [`client_features`]; `None` where no header matters.
pub(super) fn vary(negotiation: Negotiation, client_hints: bool) -> Option<&'static str> {
    let accept = negotiation != Negotiation::default();
    match (accept, client_hints) {
        (true, true) => Some("Accept, Sec-Ch-Dpr, Dpr, Sec-Ch-Width, Width"),
        (true, false) => Some("Accept"),
        (false, true) => Some("Sec-Ch-Dpr, Dpr, Sec-Ch-Width, Width"),
        (false, false) => None,
    }
}

fn is_request_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

fn amazon_request_id(headers: &HeaderMap) -> Option<String> {
    let context = headers.get(X_AMZN_REQUEST_CONTEXT)?;
    let context: serde_json::Value = serde_json::from_slice(context.as_bytes()).ok()?;
    let id = context.get("requestId")?.as_str()?;
    is_request_id(id).then(|| id.to_owned())
}

/// Names a request, on the way in and on the way out.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_AMZN_REQUEST_CONTEXT: HeaderName = HeaderName::from_static("x-amzn-request-context");

fn nano_id() -> String {
    let mut random = [0_u8; 21];
    rand::rng().fill(&mut random);
    let characters = random.map(|byte| match byte & 63 {
        n @ 0..=25 => b'A' + n,
        n @ 26..=51 => b'a' + n - 26,
        n @ 52..=61 => b'0' + n - 52,
        62 => b'_',
        _ => b'-',
    });
    String::from_utf8_lossy(&characters).into_owned()
}

/// Whether an `Accept` line names the type with a weight above zero. A substring test, as in imgproxy, apart from the
/// weight: wildcards do not count.
fn accepts(headers: &HeaderMap, mime: &str) -> bool {
    headers
        .get_all(http::header::ACCEPT)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|entry| entry.contains(mime) && !is_refused(entry))
}

fn is_refused(entry: &str) -> bool {
    entry
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f64)
        })
}

fn hint<T: FromStr + Copy>(
    headers: &HeaderMap,
    names: [&str; 2],
    valid: impl Fn(T) -> bool,
) -> Option<T> {
    names
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok()?.parse::<T>().ok())
        .find(|value| valid(*value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::headers;

    #[test]
    fn request_ids() {
        let amazon = |json: &str| vec![("x-amzn-request-context".to_owned(), json.to_owned())];
        let own = |id: &str| vec![("x-request-id".to_owned(), id.to_owned())];
        let rows = [
            (own("abc-123_X"), Some("abc-123_X")),
            (own(""), None),
            (own("a b"), None),
            (own("é"), None),
            (amazon(r#"{"requestId":"c6af-9"}"#), Some("c6af-9")),
            (amazon(r#"{"requestId":"a/b"}"#), None),
            (amazon(r#"{"requestId":5}"#), None),
            (amazon("{"), None),
            (
                [own("a/b"), amazon(r#"{"requestId":"second"}"#)].concat(),
                Some("second"),
            ),
            (
                [own("first"), amazon(r#"{"requestId":"second"}"#)].concat(),
                Some("first"),
            ),
        ];
        for (given, expected) in rows {
            let given: Vec<_> = given
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let id = request_id(&headers(&given));
            match expected {
                Some(expected) => assert_eq!(id, expected, "{given:?}"),
                None => assert!(id.len() == 21 && is_request_id(&id), "{given:?} {id}"),
            }
        }
        assert_ne!(nano_id(), nano_id());
    }

    #[test]
    fn accepted_formats() {
        let all = Negotiation {
            auto_webp: true,
            enforce_avif: true,
            auto_jxl: true,
            ..Negotiation::default()
        };
        let rows = [
            ("image/webp", (true, false, false)),
            (
                "text/html,image/avif;q=0.8,image/webp;q=0.5,*/*",
                (true, true, false),
            ),
            ("image/webp;q=0, image/jxl", (false, false, true)),
            ("image/webp; Q=0.000", (false, false, false)),
            ("image/*, */*", (false, false, false)),
            ("image/webp;v=0", (true, false, false)),
        ];
        for (accept, expected) in rows {
            let given = headers(&[("accept", accept)]);
            let f = client_features(&given, all, false);
            assert_eq!((f.webp, f.avif, f.jxl), expected, "{accept}");
            let off = client_features(&given, Negotiation::default(), false);
            assert_eq!(off, ClientFeatures::default(), "{accept}");
        }
    }

    #[test]
    fn hints_only_where_enabled_and_in_range() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<f64>, Option<u32>);
        let rows: [Row<'_>; 6] = [
            (&[("dpr", "2"), ("width", "300")], Some(2.0), Some(300)),
            (&[("sec-ch-dpr", "1.5"), ("dpr", "2")], Some(1.5), None),
            (&[("sec-ch-dpr", "9"), ("dpr", "2")], Some(2.0), None),
            (&[("dpr", "0"), ("width", "0")], None, None),
            (&[("dpr", "NaN"), ("width", "-1")], None, None),
            (&[("width", "1.5"), ("sec-ch-width", "7")], None, Some(7)),
        ];
        for (given, dpr, width) in rows {
            let f = client_features(&headers(given), Negotiation::default(), true);
            assert_eq!((f.dpr, f.width), (dpr, width), "{given:?}");
            let off = client_features(&headers(given), Negotiation::default(), false);
            assert_eq!(off, ClientFeatures::default());
        }
    }

    #[test]
    fn vary_follows_the_configuration() {
        let webp = Negotiation {
            enforce_webp: true,
            ..Negotiation::default()
        };
        assert_eq!(vary(Negotiation::default(), false), None);
        assert_eq!(vary(webp, false), Some("Accept"));
        assert_eq!(
            vary(Negotiation::default(), true),
            Some("Sec-Ch-Dpr, Dpr, Sec-Ch-Width, Width")
        );
        assert_eq!(
            vary(webp, true),
            Some("Accept, Sec-Ch-Dpr, Dpr, Sec-Ch-Width, Width")
        );
    }
}
