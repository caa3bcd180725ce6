//! Cross-origin headers. Rule: `spec/http.md` section 3.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};
use warp::reply::Response;

use super::response::header_value;

/// `ALLOW_ORIGIN`.
#[derive(Clone, Debug)]
pub(super) enum Cors {
    /// No headers.
    Off,
    /// This value for everybody, as it is.
    Verbatim(HeaderValue),
    /// The request's own origin where it is one of these.
    List(Vec<String>),
}

impl Cors {
    /// Text with a comma is a list; as one value no browser would take it.
    pub(super) fn new(allow_origin: &str) -> Self {
        if allow_origin.is_empty() {
            return Self::Off;
        }
        if !allow_origin.contains(',') {
            return Self::Verbatim(header_value(allow_origin));
        }
        let origins = allow_origin.split(',').map(|part| part.trim().to_owned());
        let origins: Vec<String> = origins.filter(|part| !part.is_empty()).collect();
        if origins.iter().any(|origin| origin == "*") {
            return Self::Verbatim(HeaderValue::from_static("*"));
        }
        Self::List(origins)
    }

    /// Whether it adds anything to any response.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Adds the pair that allows the request's origin.
    pub(super) fn allow(&self, mut response: Response, request: &HeaderMap) -> Response {
        let headers = response.headers_mut();
        if let Self::List(_) = self {
            vary_on_origin(headers);
        }
        if let Some(origin) = self.allowed(request) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, OPTIONS"),
            );
        }
        response
    }

    /// The same for OPTIONS. A browser that wants to send headers of its own, such as `Authorization`, asks first; imgproxy
    /// never allows it.
    pub(super) fn preflight(&self, response: Response, request: &HeaderMap) -> Response {
        let mut response = self.allow(response, request);
        if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS)
            && self.allowed(request).is_some()
        {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        }
        response
    }

    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        match self {
            Self::Off => None,
            Self::Verbatim(value) => Some(value.clone()),
            Self::List(origins) => {
                let origin = request.get(ORIGIN)?;
                let is_listed =
                    |listed: &String| listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
                origins.iter().any(is_listed).then(|| origin.clone())
            }
        }
    }
}

fn vary_on_origin(headers: &mut HeaderMap) {
    let value = match headers.get(VARY).and_then(|value| value.to_str().ok()) {
        Some(others) => header_value(&format!("{others}, Origin")),
        None => HeaderValue::from_static("Origin"),
    };
    headers.insert(VARY, value);
}

/// Seconds; browsers cap it at 2 to 24 hours.
const MAX_AGE: &str = "86400";
