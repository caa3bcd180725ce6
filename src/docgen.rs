//! Renders the tables of the program into documentation. Nothing here is written twice: texts live beside the code.
//!
//! `imgforge docs` writes the files, `tests/generated.rs` fails where one is not current.

use std::fmt::Write;

use crate::args::{Access, Group, OptionDef};
use crate::config::var::{Blank, DefaultValue, Scope};
use crate::config::{SECTIONS, Var, removed_names, vars};
use crate::error::Kind;

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Path below the root of the repository.
    pub path: &'static str,
    /// The whole content.
    pub text: String,
}

/// Every generated file.
pub fn documents() -> Vec<Document> {
    vec![
        Document {
            path: "docs/configuration.md",
            text: configuration(),
        },
        Document {
            path: "docs/errors.md",
            text: errors(),
        },
        Document {
            path: "compose/.env.example",
            text: env_example(),
        },
    ]
}

/// One URL option, whatever it is applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDoc {
    /// Long name.
    pub name: &'static str,
    /// Short names.
    pub aliases: &'static [&'static str],
    /// Argument pattern.
    pub usage: &'static str,
    /// An option segment that parses.
    pub example: &'static str,
    /// Heading.
    pub group: Group,
    /// One line.
    pub summary: &'static str,
    /// Markdown.
    pub docs: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// The documentation of an option table, so that tables over different types can be put into one list.
pub fn render<T: 'static>(defs: impl Iterator<Item = &'static OptionDef<T>>) -> Vec<OptionDoc> {
    defs.map(|def| OptionDoc {
        name: def.name,
        aliases: def.aliases,
        usage: def.usage,
        example: def.example,
        group: def.group,
        summary: def.summary,
        docs: def.docs,
        access: def.access,
    })
    .collect()
}

/// `docs/processing-options.md`: an overview, then every option under the heading of its group.
pub fn processing_options(options: &[OptionDoc]) -> String {
    let mut page = Page::new("Processing options");
    page.text(
        "An option is a path segment: its name and its arguments, divided by `:`. Options come before the source URL \
         and apply in a fixed order, whatever order they are written in; of two options with one name the later wins.",
    );
    page.row(&["Option", "Short", "Meaning"]);
    page.rule(3);
    for option in options {
        let link = format!("[`{}`](#{})", option.name, anchor(option.name));
        page.row(&[&link, &codes(option.aliases), option.summary]);
    }
    for (group, title) in GROUPS {
        let mut members = options.iter().filter(|o| o.group == *group).peekable();
        if members.peek().is_some() {
            page.heading(2, title);
        }
        for option in members {
            page.heading(3, option.name);
            page.text(&format!("{}.", option.summary));
            page.text(&format!("```\n{}\n```", option.usage));
            page.text(option.docs.trim());
            if option.access == Access::Security {
                page.text("Only where `IMGPROXY_ALLOW_SECURITY_OPTIONS` is on.");
            }
            let names = match option.aliases {
                [] => String::new(),
                aliases => format!("Short: {}. ", codes(aliases)),
            };
            page.text(&format!("{names}Example: `{}`.", option.example));
        }
    }
    page.finish()
}

/// One metric, for [`metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDoc {
    /// Name as scraped.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
}

/// `docs/metrics.md`.
pub fn metrics(metrics: &[MetricDoc]) -> String {
    let mut page = Page::new("Metrics");
    page.text(
        "Served in the Prometheus text format at `/metrics` on port 9000; `IMGPROXY_PROMETHEUS_BIND` changes the address \
         or switches it off. See [configuration](configuration.md#metrics).",
    );
    page.row(&["Metric", "Kind", "Labels", "Meaning"]);
    page.rule(4);
    for metric in metrics {
        let name = format!("`{}`", metric.name);
        page.row(&[&name, metric.kind, &codes(metric.labels), metric.help]);
    }
    page.finish()
}

fn configuration() -> String {
    let mut page = Page::new("Configuration");
    page.text(
        "imgforge is configured by environment variables. The names are those of imgproxy; variables that only imgforge \
         has begin with `IMGFORGE_`. Both prefixes are read for every variable, the one written here first.",
    );
    page.text(
        "- A variable that is empty or blank counts as not set, unless its description says otherwise.\n\
         - Values are not trimmed: a blank or a newline around a number is a mistake. Elements of lists are trimmed.\n\
         - Booleans are `1 t T TRUE true True` and `0 f F FALSE false False`, nothing else.\n\
         - Durations are whole seconds.\n\
         - A value that cannot be read or is out of range stops the start. All mistakes are reported at once.\n\
         - Names with one of the prefixes that no variable has are logged as a warning and have no effect.",
    );
    page.text(
        "`imgforge config` prints the values in effect with secrets hidden. `compose/.env.example` lists all variables \
         as an environment file.",
    );
    for section in SECTIONS {
        page.heading(2, section.title);
        page.row(&["Variable", "Format", "Default", "Meaning"]);
        page.rule(4);
        for var in section.vars {
            let name = var.documented_name();
            let cell = format!("<a id=\"{}\"></a>`{name}`", name.to_lowercase());
            let format = format!("`{}`", var.format);
            page.row(&[&cell, &format, &default_text(var), &meaning(var)]);
        }
    }
    page.heading(2, "Other names");
    page.text("These names are still read. Where both are set, the documented one counts.");
    page.row(&["Name", "Stands for", "Deprecated"]);
    page.rule(3);
    for var in SECTIONS.iter().flat_map(|section| section.vars) {
        for alias in var.aliases {
            let old = format!("`IMGPROXY_{}`", alias.name);
            let new = format!("`{}`", var.documented_name());
            page.row(&[&old, &new, if alias.deprecated { "yes" } else { "no" }]);
        }
    }
    page.text("These names have no effect and are logged as a warning.");
    page.row(&["Name", "Why"]);
    page.rule(2);
    for (name, reason) in removed_names() {
        page.row(&[&format!("`IMGPROXY_{name}`"), reason]);
    }
    page.finish()
}

fn default_text(var: &Var) -> String {
    match var.default {
        DefaultValue::Text("") => "not set".to_owned(),
        DefaultValue::Text(text) => format!("`{text}`"),
        DefaultValue::Computed(text) => text.to_owned(),
    }
}

fn meaning(var: &Var) -> String {
    let blank = match (var.blank, var.scope) {
        (Blank::Unset, _) | (_, Scope::Bare) => "",
        (Blank::EmptyUnset, _) => " Blanks count as a value.",
        (Blank::Kept, _) => " Empty and blanks count as a value.",
    };
    let secret = if var.secret {
        " Secret: never logged."
    } else {
        ""
    };
    // Help texts name variables without prefix, because two prefixes are read.
    let help = vars().fold(var.help.to_owned(), |help, other| {
        help.replace(
            &format!("`{}`", other.name),
            &format!("`{}`", other.documented_name()),
        )
    });
    format!("{help}{blank}{secret}")
}

fn env_example() -> String {
    let mut text = String::from(
        "# Every variable of imgforge with its default. Copy this file to .env, take the # off a line and change it.\n\
         # Generated by `imgforge docs` from the tables in src/config; docs/configuration.md says more.\n",
    );
    for section in SECTIONS {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n# --- {} ---\n", section.title);
        for var in section.vars {
            text.push('\n');
            for line in wrapped(&meaning(var), 116) {
                let _ = writeln!(text, "# {line}");
            }
            let value = match var.default {
                DefaultValue::Text(value) => value,
                DefaultValue::Computed(rule) => {
                    let _ = writeln!(text, "# Default: {rule}.");
                    ""
                }
            };
            let _ = writeln!(text, "#{}={value}", var.documented_name());
        }
    }
    text
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
                continue;
            }
            if line.len() + 1 + word.len() <= width {
                line.push(' ');
                line.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

fn errors() -> String {
    let mut page = Page::new("Errors");
    page.text(
        "What a client sees where a request fails. The body is plain text and never says more than this; the log has the \
         details, with the request ID that the response carries in `X-Request-ID`. \
         `IMGPROXY_DEVELOPMENT_ERRORS_MODE` puts the details into the response.",
    );
    page.row(&["Status", "Body", "When", "`errors_total` category"]);
    page.rule(4);
    for kind in Kind::ALL {
        let outcome = kind.outcome();
        let status = match kind {
            Kind::SourceClientError(_) => "the source's, 4xx".to_owned(),
            _ => outcome.status.to_string(),
        };
        let body = match outcome.message {
            " " => "one space".to_owned(),
            message => format!("`{message}`"),
        };
        let category = format!("`{}`", outcome.category.label());
        page.row(&[&status, &body, situation(kind), &category]);
    }
    page.finish()
}

/// When a kind of error happens, in a client's words.
fn situation(kind: Kind) -> &'static str {
    match kind {
        Kind::RouteNotFound => "no route has this path",
        Kind::InvalidUrl => {
            "the path, an option, a preset or the source URL is malformed, an option is not allowed, or the URL has expired"
        }
        Kind::SecurityOptionDenied => {
            "a limit is overridden although `IMGPROXY_ALLOW_SECURITY_OPTIONS` is off"
        }
        Kind::InvalidSecret => "the bearer token is missing or wrong",
        Kind::InvalidSignature => "the signature is missing, unreadable or wrong",
        Kind::SignatureIsOption => {
            "signatures are not checked, and the URL has an option in the place of the signature"
        }
        Kind::SourceNotAllowed => "the source URL is not in `IMGPROXY_ALLOWED_SOURCES`",
        Kind::SourceBlocked => "the source has an address that may not be used",
        Kind::SourceUnreachable => {
            "the source cannot be reached: unknown scheme, name, connection, TLS, or too many redirects"
        }
        Kind::SourceClientError(_) => "the source answered with a 4xx status",
        Kind::SourceServerError => "the source answered with a 5xx status",
        Kind::SourceTimeout => "the source took longer than `IMGPROXY_DOWNLOAD_TIMEOUT`",
        Kind::SourceIncomplete => "the source ended before its declared end",
        Kind::SourceTooLarge => "the source has more bytes than `IMGPROXY_MAX_SRC_FILE_SIZE`",
        Kind::SourceFormatUnknown => "the source is no known image format",
        Kind::SourceFormatUndetectable => {
            "the beginning of the source, which shows the format, could not be read"
        }
        Kind::SourceFormatUnsupported => "this build cannot decode the source's format",
        Kind::ResultFormatUnsupported => "this build cannot write the requested format",
        Kind::ResolutionTooLarge => "the source has more pixels than allowed",
        Kind::ResultTooLarge => "the result would be larger than the server is willing to make",
        Kind::BrokenImage => "the source cannot be decoded",
        Kind::BrokenSvg => "the SVG source is not well-formed",
        Kind::QueueFull => "too many requests wait already",
        Kind::Timeout => "the request took longer than `IMGPROXY_TIMEOUT`",
        Kind::Cancelled => "the client closed the connection",
        Kind::Internal => "something unexpected went wrong in the server",
    }
}

/// A Markdown page; blocks are set apart by blank lines.
struct Page {
    text: String,
    in_table: bool,
}

impl Page {
    fn new(title: &str) -> Self {
        Self {
            text: format!(
                "<!-- Generated by `imgforge docs`; change the tables in src/ instead. -->\n\n# {title}\n"
            ),
            in_table: false,
        }
    }

    fn heading(&mut self, level: usize, title: &str) {
        self.text(&format!("{} {title}", "#".repeat(level)));
    }

    fn text(&mut self, block: &str) {
        self.text.push('\n');
        self.text.push_str(block);
        self.text.push('\n');
        self.in_table = false;
    }

    fn row(&mut self, cells: &[&str]) {
        if !self.in_table {
            self.text.push('\n');
            self.in_table = true;
        }
        for cell in cells {
            self.text.push_str("| ");
            // A bar divides cells even inside code.
            self.text.push_str(&cell.replace('|', "\\|"));
            self.text.push(' ');
        }
        self.text.push_str("|\n");
    }

    fn rule(&mut self, columns: usize) {
        self.text.push_str(&"|---".repeat(columns));
        self.text.push_str("|\n");
    }

    fn finish(self) -> String {
        self.text
    }
}

fn codes(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The anchor that renderers give a heading.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

const GROUPS: &[(Group, &str)] = &[
    (Group::Geometry, "Size and position"),
    (Group::Effects, "Colours and filters"),
    (Group::Output, "Format, quality and metadata"),
    (Group::Handling, "Delivery"),
    (Group::Security, "Limits"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ArgError;

    #[test]
    fn every_variable_and_error_is_documented() {
        let (configuration, example) = (configuration(), env_example());
        for var in vars() {
            let name = var.documented_name();
            assert!(configuration.contains(&format!("`{name}`")), "{name}");
            assert!(example.contains(&format!("\n#{name}=")), "{name}");
        }
        let errors = errors();
        assert_eq!(errors.matches("\n| ").count(), Kind::ALL.len() + 1);
        assert!(errors.contains("| 429 | `Too many requests` |"), "{errors}");
    }

    #[test]
    fn tables_have_as_many_cells_everywhere() {
        for document in documents().into_iter().filter(|d| d.path.ends_with(".md")) {
            let mut columns = 0;
            for line in document.text.lines() {
                let bars = line.replace("\\|", "").matches('|').count();
                if !line.starts_with('|') {
                    columns = 0;
                } else if columns == 0 {
                    columns = bars;
                } else {
                    assert_eq!(bars, columns, "{line}");
                }
            }
        }
    }

    #[test]
    fn options_by_group() {
        static DEFS: [OptionDef<u8>; 2] = [
            OptionDef {
                name: "blur",
                aliases: &["bl"],
                usage: "blur:%sigma",
                example: "blur:2",
                group: Group::Effects,
                summary: "Blurs the picture",
                docs: "Sigma is in pixels.",
                access: Access::Open,
                apply: |_, _| Err(ArgError::Other(String::new())),
            },
            OptionDef {
                name: "max_src_resolution",
                aliases: &[],
                usage: "max_src_resolution:%megapixels",
                example: "max_src_resolution:5",
                group: Group::Security,
                summary: "Limits the source",
                docs: "In megapixels.",
                access: Access::Security,
                apply: |_, _| Err(ArgError::Other(String::new())),
            },
        ];
        let text = processing_options(&render(DEFS.iter()));
        assert!(
            text.contains("| [`blur`](#blur) | `bl` | Blurs the picture |"),
            "{text}"
        );
        assert!(
            text.contains("## Colours and filters\n\n### blur\n\nBlurs the picture.\n"),
            "{text}"
        );
        assert!(text.contains("Short: `bl`. Example: `blur:2`."), "{text}");
        assert_eq!(text.matches("IMGPROXY_ALLOW_SECURITY_OPTIONS").count(), 1);
        assert!(!text.contains("## Delivery"));
    }

    #[test]
    fn metric_rows() {
        let text = metrics(&[MetricDoc {
            name: "errors_total",
            kind: "counter",
            help: "Failed requests.",
            labels: &["type"],
        }]);
        assert!(
            text.contains("| `errors_total` | counter | `type` | Failed requests. |"),
            "{text}"
        );
    }

    #[test]
    fn lines_are_wrapped() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaa b", 5), ["aaaaaaa", "b"]);
    }
}
