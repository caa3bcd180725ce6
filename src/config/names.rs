//! Names in the environment that nothing reads: removed ones with a reason, unknown ones with the nearest known name.

use super::env::Env;
use super::errors::Warning;
use super::var::PREFIXES;
use super::vars;

/// One warning for every name with our prefix that is not a variable's.
pub(super) fn unread(env: &dyn Env) -> Vec<Warning> {
    let mut names = env.names();
    names.sort();
    names
        .into_iter()
        .filter_map(|name| {
            let bare = PREFIXES.iter().find_map(|p| name.strip_prefix(p))?;
            let known = vars().any(|v| v.name == bare || v.aliases.iter().any(|a| a.name == bare));
            if known {
                return None;
            }
            if let Some((_, reason)) = REMOVED.iter().find(|(removed, _)| *removed == bare) {
                return Some(Warning::Removed { name, reason });
            }
            let nearest = nearest(bare);
            Some(Warning::Unknown { name, nearest })
        })
        .collect()
}

/// The known name that is few enough edits away to be what was meant.
fn nearest(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    vars()
        .map(|var| (distance(&upper, var.name), var))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, var)| *distance * 4 <= var.name.len())
        .map(|(_, var)| var.documented_name())
}

/// Levenshtein distance in bytes; names are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let substituted = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = substituted.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Names of older versions and of other programs, with what to do instead. Rule: `spec/configuration.md` section 7.
pub(super) const REMOVED: &[(&str, &str)] = &[
    ("DOWNLOAD_BUFFER_SIZE", "buffers size themselves"),
    (
        "BUFFER_POOL_CALIBRATION_THRESHOLD",
        "buffers size themselves",
    ),
    ("MAX_SVG_CHECK_BYTES", "detection reads what it needs"),
    ("SVG_FIX_UNSUPPORTED", "it was removed in imgproxy 4"),
    ("S3_MULTI_REGION", "it was removed in imgproxy 4"),
    (
        "OBJECT_DETECTION_CONFIG",
        "Darknet models were removed in imgproxy 4",
    ),
    (
        "OBJECT_DETECTION_WEIGHTS",
        "Darknet models were removed in imgproxy 4",
    ),
    ("OPEN_TELEMETRY_ENDPOINT", "use OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("OPEN_TELEMETRY_PROTOCOL", "use OTEL_EXPORTER_OTLP_PROTOCOL"),
    (
        "OPEN_TELEMETRY_GRPC_INSECURE",
        "use OTEL_EXPORTER_OTLP_INSECURE",
    ),
    ("OPEN_TELEMETRY_SERVICE_NAME", "use OTEL_SERVICE_NAME"),
    ("OPEN_TELEMETRY_PROPAGATORS", "use OTEL_PROPAGATORS"),
    (
        "OPEN_TELEMETRY_CONNECTION_TIMEOUT",
        "use OTEL_EXPORTER_OTLP_TIMEOUT",
    ),
    ("LICENSE_KEY", "imgforge needs no licence"),
    ("LICENSE_DEVELOPMENT_MODE", "imgforge needs no licence"),
];

#[cfg(test)]
mod tests {
    use super::super::MapEnv;
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("TTL", "TTL", 0),
            ("TLT", "TTL", 2),
            ("QUALTY", "QUALITY", 1),
            ("", "ABC", 3),
            ("KITTEN", "SITTING", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn unknown_names() {
        let env = MapEnv::new(&[
            ("IMGPROXY_QUALTY", "1"),
            ("IMGPROXY_Quality", "1"),
            ("IMGFORGE_CACHE_TIPE", "1"),
            ("IMGPROXY_NO_SUCH_THING", "1"),
            ("IMGPROXY_S3_MULTI_REGION", "1"),
            ("IMGPROXY_TTL", "1"),
            ("IMGFORGE_ETAG_ENABLED", "1"),
            ("QUALTY", "1"),
        ]);
        let texts: Vec<String> = unread(&env).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "unknown variable IMGFORGE_CACHE_TIPE has no effect, did you mean IMGFORGE_CACHE_TYPE?",
                "unknown variable IMGPROXY_NO_SUCH_THING has no effect",
                "unknown variable IMGPROXY_QUALTY has no effect, did you mean IMGPROXY_QUALITY?",
                "unknown variable IMGPROXY_Quality has no effect, did you mean IMGPROXY_QUALITY?",
                "IMGPROXY_S3_MULTI_REGION has no effect: it was removed in imgproxy 4",
            ]
        );
    }

    #[test]
    fn removed_names_are_not_read() {
        for (name, reason) in REMOVED {
            assert!(vars().all(|v| v.name != *name), "{name}");
            assert!(!reason.is_empty());
        }
    }
}
