//! Closed sets of label values. Rule: `spec/monitoring.md` B3. No label holds anything else taken from a request.

use http::Method;

/// Declares a label: a closed enum with its texts in one place.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label text.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Position in [`Self::ALL`].
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// `path` of the request histogram: a route, never the URL.
    Route {
        /// Landing page.
        Landing => "/",
        /// Health check, whatever its path.
        Health => "/health",
        /// JSON status.
        Status => "/status",
        /// Favicon.
        Favicon => "/favicon.ico",
        /// Well-known files.
        WellKnown => "/.well-known/{*path}",
        /// Images, raw streams, and HEAD and OPTIONS below the prefix.
        Image => "/{*path}",
        /// No route.
        Unmatched => "unmatched",
    }
}

label! {
    /// `method` of the request histogram.
    Verb {
        /// GET.
        Get => "GET",
        /// HEAD.
        Head => "HEAD",
        /// OPTIONS.
        Options => "OPTIONS",
        /// POST.
        Post => "POST",
        /// PUT.
        Put => "PUT",
        /// PATCH.
        Patch => "PATCH",
        /// DELETE.
        Delete => "DELETE",
        /// Any other method.
        Other => "OTHER",
    }
}

impl From<&Method> for Verb {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::OPTIONS => Self::Options,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

label! {
    /// `cache_type` of the cache metrics.
    CacheKind {
        /// Results in memory.
        Memory => "memory",
    }
}

label! {
    /// `span` of `request_span_duration_seconds`.
    Span {
        /// Waiting for a worker.
        Queue => "queue",
        /// Fetching the source.
        DownloadingSourceImage => "downloading_source_image",
        /// Decoding, transforming, encoding.
        ProcessingImage => "processing_image",
        /// Relaying a raw source.
        StreamingImage => "streaming_image",
    }
}

label! {
    /// `reason` of `imgforge_rejected_requests_total`.
    Reason {
        /// The queue is full.
        Queue => "queue",
        /// Too many requests from one client.
        RateLimit => "rate_limit",
        /// Missing or wrong signature or token.
        Signature => "signature",
        /// Source not allowed.
        Source => "source",
        /// Source or result beyond a limit.
        Limits => "limits",
    }
}

label! {
    /// `scheme` of the source metrics.
    Scheme {
        /// Plain HTTP.
        Http => "http",
        /// HTTP over TLS.
        Https => "https",
        /// Local files.
        Local => "local",
    }
}

label! {
    /// `outcome` of `imgforge_source_fetches_total`.
    FetchOutcome {
        /// Fetched.
        Ok => "ok",
        /// The source answered "not modified".
        NotModified => "not_modified",
        /// 404 or 410, or no such file.
        NotFound => "not_found",
        /// 401 or 403, or no permission.
        Forbidden => "forbidden",
        /// Another 4xx.
        Upstream4xx => "upstream_4xx",
        /// 5xx.
        Upstream5xx => "upstream_5xx",
        /// The download deadline passed.
        Timeout => "timeout",
        /// The name did not resolve.
        Dns => "dns",
        /// No connection, or it broke.
        Connect => "connect",
        /// TLS failed.
        Tls => "tls",
        /// More bytes than allowed.
        TooLarge => "too_large",
        /// Not a usable answer.
        Invalid => "invalid",
        /// The address guard refused.
        Blocked => "blocked",
        /// The client went away.
        Cancelled => "cancelled",
    }
}
