//! The identity of a trace in headers: read from requests, written into source requests. Rule: `spec/monitoring.md` A2
//! and A3; the formats are those of their owners.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::config::telemetry::open_telemetry::Propagator;
use crate::monitoring::trace::Identity;

/// A form of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One of OpenTelemetry's.
    Open(Propagator),
    /// `x-datadog-*`.
    Datadog,
}

/// What a caller says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// Whether the caller keeps the trace, where it says so.
    pub(super) sampled: Option<bool>,
    /// Headers that are passed on as they came.
    pub(super) carried: HeaderMap,
}

/// The caller's trace; of several formats that are there the last counts, as in OpenTelemetry's composite.
pub(super) fn extract(formats: &[Format], headers: &HeaderMap) -> Option<Parent> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let found = formats.iter().rev().find_map(|format| {
        let parent = match format {
            Format::Open(Propagator::TraceContext) => trace_context(text("traceparent")?),
            Format::Open(Propagator::Baggage) => None,
            Format::Open(Propagator::B3) => b3(text("b3")?),
            Format::Open(Propagator::B3Multi) => Parent::new(
                text("x-b3-traceid")?,
                text("x-b3-spanid")?,
                match (text("x-b3-flags"), text("x-b3-sampled")) {
                    (Some("1"), _) => Some(true),
                    (_, sampled) => sampled.map(|s| matches!(s, "1" | "true")),
                },
            ),
            Format::Open(Propagator::Jaeger) => jaeger(text("uber-trace-id")?),
            Format::Open(Propagator::XRay) => xray(text("x-amzn-trace-id")?),
            Format::Open(Propagator::OtTrace) => Parent::new(
                text("ot-tracer-traceid")?,
                text("ot-tracer-spanid")?,
                text("ot-tracer-sampled").map(|s| matches!(s, "1" | "true")),
            ),
            Format::Datadog => datadog(&text),
        };
        Some((*format, parent?))
    });
    let (format, mut parent) = found?;
    if format == Format::Open(Propagator::TraceContext) {
        carry(headers, &TRACE_STATE, &mut parent.carried);
    }
    Some(parent)
}

/// Headers that travel with any trace, whether or not one came.
pub(super) fn extract_baggage(formats: &[Format], headers: &HeaderMap, carried: &mut HeaderMap) {
    if formats.contains(&Format::Open(Propagator::Baggage)) {
        carry(headers, &BAGGAGE, carried);
    }
}

/// Writes the identity in every one of the formats.
pub(super) fn inject(formats: &[Format], identity: &Identity, span: u64, headers: &mut HeaderMap) {
    let Identity { trace, sampled, .. } = *identity;
    let flag = u8::from(sampled);
    for format in formats {
        match format {
            Format::Open(Propagator::TraceContext) => {
                set(
                    headers,
                    "traceparent",
                    format!("00-{trace:032x}-{span:016x}-{flag:02x}"),
                );
                carry(&identity.carried, &TRACE_STATE, headers);
            }
            Format::Open(Propagator::Baggage) => carry(&identity.carried, &BAGGAGE, headers),
            Format::Open(Propagator::B3) => {
                set(headers, "b3", format!("{trace:032x}-{span:016x}-{flag}"));
            }
            Format::Open(Propagator::B3Multi) => {
                set(headers, "x-b3-traceid", format!("{trace:032x}"));
                set(headers, "x-b3-spanid", format!("{span:016x}"));
                set(headers, "x-b3-sampled", flag.to_string());
            }
            Format::Open(Propagator::Jaeger) => {
                set(
                    headers,
                    "uber-trace-id",
                    format!("{trace:032x}:{span:016x}:0:{flag}"),
                );
            }
            Format::Open(Propagator::XRay) => {
                let (time, rest) = (trace >> 96, trace & (u128::MAX >> 32));
                let text =
                    format!("Root=1-{time:08x}-{rest:024x};Parent={span:016x};Sampled={flag}");
                set(headers, "x-amzn-trace-id", text);
            }
            Format::Open(Propagator::OtTrace) => {
                set(headers, "ot-tracer-traceid", format!("{:016x}", low(trace)));
                set(headers, "ot-tracer-spanid", format!("{span:016x}"));
                set(headers, "ot-tracer-sampled", sampled.to_string());
            }
            Format::Datadog => {
                set(headers, "x-datadog-trace-id", low(trace).to_string());
                set(headers, "x-datadog-parent-id", span.to_string());
                let priority = u8::from(identity.asked.unwrap_or(true));
                set(headers, "x-datadog-sampling-priority", priority.to_string());
                if trace >> 64 != 0 {
                    set(
                        headers,
                        "x-datadog-tags",
                        format!("_dd.p.tid={:016x}", trace >> 64),
                    );
                }
            }
        }
    }
}

/// The half of a trace id that the older formats know.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
pub(super) fn low(trace: u128) -> u64 {
    trace as u64
}

impl Parent {
    fn new(trace: &str, span: &str, sampled: Option<bool>) -> Option<Self> {
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled,
            carried: HeaderMap::new(),
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }
}

/// `version-trace-span-flags`; later versions may have more parts.
fn trace_context(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let lengths = [version, trace, span, flags].map(str::len);
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    if lengths != [2, 32, 16, 2] || !known || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    u8::from_str_radix(version, 16).ok()?;
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Parent::new(trace, span, Some(sampled))
}

/// `trace-span[-sampled[-parent]]`.
fn b3(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = parts.next().map(|s| matches!(s, "1" | "d"));
    Parent::new(trace, span, sampled)
}

/// `trace:span:parent:flags`, perhaps percent-encoded.
fn jaeger(text: &str) -> Option<Parent> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    let mut parts = text.split(':');
    let (trace, span) = (parts.next()?, parts.next()?);
    let flags = u8::from_str_radix(parts.nth(1)?, 16).ok()?;
    Parent::new(trace, span, Some(flags & 1 == 1))
}

/// `Root=1-time-rest;Parent=span;Sampled=1`, in any order.
fn xray(text: &str) -> Option<Parent> {
    let field = |name: &str| {
        let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| key.trim() == name);
        values.next().map(|(_, value)| value.trim())
    };
    let mut root = field("Root")?.splitn(3, '-').skip(1);
    let (time, rest) = (root.next()?, root.next()?);
    if time.len() != 8 || rest.len() != 24 {
        return None;
    }
    let sampled = match field("Sampled") {
        Some("1") => Some(true),
        Some("0") => Some(false),
        _ => None,
    };
    Parent::new(&format!("{time}{rest}"), field("Parent")?, sampled)
}

fn datadog<'a>(text: &dyn Fn(&str) -> Option<&'a str>) -> Option<Parent> {
    let low: u64 = text("x-datadog-trace-id")?.parse().ok()?;
    let span: u64 = text("x-datadog-parent-id")?.parse().ok()?;
    let priority = text("x-datadog-sampling-priority").and_then(|p| p.parse::<i32>().ok());
    let tags = text("x-datadog-tags").unwrap_or_default();
    let high = tags
        .split(',')
        .find_map(|tag| tag.trim().strip_prefix("_dd.p.tid="))
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .unwrap_or_default();
    (low != 0 && span != 0).then(|| Parent {
        trace: (u128::from(high) << 64) | u128::from(low),
        span,
        sampled: priority.map(|p| p > 0),
        carried: HeaderMap::new(),
    })
}

fn carry(from: &HeaderMap, name: &HeaderName, to: &mut HeaderMap) {
    let values: Vec<_> = from.get_all(name).iter().cloned().collect();
    for value in values {
        to.append(name.clone(), value);
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: String) {
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
        headers.insert(name, value);
    }
}

const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [Format; 8] = [
        Format::Open(Propagator::TraceContext),
        Format::Open(Propagator::Baggage),
        Format::Open(Propagator::B3),
        Format::Open(Propagator::B3Multi),
        Format::Open(Propagator::Jaeger),
        Format::Open(Propagator::XRay),
        Format::Open(Propagator::OtTrace),
        Format::Datadog,
    ];

    type Row = (
        Format,
        &'static [(&'static str, &'static str)],
        u128,
        u64,
        Option<bool>,
    );

    fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
        rows.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn what_is_written_reads_back() {
        let identity = Identity {
            trace: 0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793,
            sampled: true,
            carried: headers(&[("baggage", "a=1"), ("tracestate", "x=y")]),
            ..Identity::default()
        };
        for format in EVERY {
            let mut out = HeaderMap::new();
            inject(&[format], &identity, 0x53ce_929d_0e0e_4736, &mut out);
            assert!(!out.is_empty(), "{format:?}");
            let parent = extract(&[format], &out);
            if format == Format::Open(Propagator::Baggage) {
                assert_eq!(
                    (parent, out.get("baggage").unwrap().to_str().unwrap()),
                    (None, "a=1")
                );
                continue;
            }
            let parent = parent.unwrap();
            let expected = match format {
                Format::Open(Propagator::OtTrace) => u128::from(low(identity.trace)),
                _ => identity.trace,
            };
            assert_eq!(
                (parent.trace, parent.span, parent.sampled),
                (expected, 0x53ce_929d_0e0e_4736, Some(true)),
                "{format:?}"
            );
            let is_w3c = format == Format::Open(Propagator::TraceContext);
            assert_eq!(parent.carried.contains_key("tracestate"), is_w3c);
        }
    }

    #[test]
    fn published_examples() {
        let rows: [Row; 5] = [
            (
                EVERY[0],
                &[(
                    "traceparent",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                )],
                0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                0x00f0_67aa_0ba9_02b7,
                Some(true),
            ),
            (
                EVERY[2],
                &[(
                    "b3",
                    "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
                )],
                0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7,
                0xe457_b5a2_e4d8_6bd1,
                Some(true),
            ),
            (
                EVERY[3],
                &[
                    ("x-b3-traceid", "463ac35c9f6413ad"),
                    ("x-b3-spanid", "a2fb4a1d1a96d312"),
                ],
                0x463a_c35c_9f64_13ad,
                0xa2fb_4a1d_1a96_d312,
                None,
            ),
            (
                EVERY[4],
                &[("uber-trace-id", "3a%3A7%3A0%3A0")],
                0x3a,
                7,
                Some(false),
            ),
            (
                EVERY[5],
                &[(
                    "x-amzn-trace-id",
                    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                )],
                0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793,
                0x5399_5c3f_42cd_8ad8,
                Some(true),
            ),
        ];
        for (format, rows, trace, span, sampled) in rows {
            let parent = extract(&[format], &headers(rows)).unwrap();
            assert_eq!(
                (parent.trace, parent.span, parent.sampled),
                (trace, span, sampled)
            );
        }
    }

    #[test]
    fn what_is_no_identity_is_left_alone() {
        for (name, value) in [
            (
                "traceparent",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            ),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            ),
            (
                "traceparent",
                "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            ),
            ("traceparent", "é"),
            ("b3", "0"),
            ("uber-trace-id", "1:2"),
            ("x-amzn-trace-id", "Root=1-5759e988-bd86"),
            ("x-datadog-trace-id", "12"),
        ] {
            let row = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )]);
            assert_eq!(extract(&EVERY, &row), None, "{name}: {value}");
        }
    }
}
