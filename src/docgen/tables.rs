//! Tables inside pages that are written by hand: the formats, the metrics.

use super::page::{Page, codes};
use crate::decode::LOADERS;
use crate::encode::SAVERS;
use crate::format::ImageFormat;
use crate::monitoring::{METRICS, MetricKind, PROCESS_METRICS};

/// What each format can do here.
pub(super) fn formats() -> String {
    let mut page = Page::part();
    page.row(&[
        "Format",
        "`Content-Type`",
        "Read",
        "Written",
        "Transparency",
        "Quality",
        "Animation",
        "Colour profile",
        "More than 8 bits",
    ]);
    page.rule(9);
    for format in ImageFormat::ALL {
        let info = format.info();
        let name = match format {
            ImageFormat::Jpeg => "`jpeg`, `jpg`".to_owned(),
            _ => format!("`{}`", info.name),
        };
        let written = if info.vector {
            "SVG sources only"
        } else {
            yes(SAVERS.iter().any(|saver| saver.format == format))
        };
        page.row(&[
            &name,
            &format!("`{}`", info.mime),
            yes(LOADERS.iter().any(|loader| loader.format == format)),
            written,
            yes(info.alpha),
            yes(info.quality),
            yes(info.animation),
            yes(info.icc),
            yes(info.hdr),
        ]);
    }
    page.finish()
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "–" }
}

/// Every metric of the scrape.
pub(super) fn metrics() -> String {
    let mut page = Page::part();
    page.row(&["Metric", "Type", "Labels", "Prefixed", "Meaning"]);
    page.rule(5);
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        page.row(&[
            &format!("`{}`", metric.name),
            kind,
            &codes(metric.labels),
            yes(metric.namespaced),
            metric.help,
        ]);
    }
    for (name, kind, help) in PROCESS_METRICS {
        page.row(&[&format!("`{name}`"), kind, "", yes(false), help]);
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_follow_the_tables() {
        let table = formats();
        assert_eq!(table.matches("\n|").count(), ImageFormat::ALL.len() + 2);
        assert!(
            table.contains("\n| `jpeg`, `jpg` | `image/jpeg` | yes | yes | – | yes |"),
            "{table}"
        );
        assert!(
            table.contains("\n| `svg` | `image/svg+xml` | yes | SVG sources only |"),
            "{table}"
        );
    }

    #[test]
    fn every_metric_has_a_row() {
        let table = metrics();
        let names = METRICS.iter().map(|metric| metric.name);
        for name in names.chain(PROCESS_METRICS.iter().map(|metric| metric.0)) {
            assert_eq!(table.matches(&format!("| `{name}` |")).count(), 1, "{name}");
        }
        assert!(
            table.contains("| `errors_total` | counter | `type` | yes |"),
            "{table}"
        );
    }
}
