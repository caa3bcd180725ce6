//! The layers of `docs/architecture.md`, enforced: every `crate::` path in `src/` is held against the tables below.
//!
//! The tables are the documentation; the code under them only reads source text. A new module needs one row in
//! [`MODULES`]. An import inside one layer needs a reason, in [`EXCEPTIONS`].

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Every module at the top of `src/`, with its layer. A module may use lower layers and itself.
const MODULES: &[(&str, u8)] = &[
    // Words that everything else is written in, and the boundaries to libvips and to codecs.
    ("vips", 0),
    ("codec", 0),
    ("config", 0),
    ("args", 0),
    ("format", 0),
    ("geometry", 0),
    ("color", 0),
    ("error", 0),
    ("monitoring", 0),
    ("cloud", 0),
    ("live", 0),
    ("redact", 0),
    // Lists of things of one kind.
    ("ops", 1),
    ("decode", 1),
    ("encode", 1),
    ("source", 1),
    ("url", 1),
    ("cache", 1),
    ("telemetry", 1),
    // What a URL says, what follows from it, what is done about it.
    ("options", 2),
    ("secrets", 2),
    // On the client side of TLS with `source`.
    ("reporting", 2),
    ("plan", 3),
    ("processing", 4),
    ("service", 5),
    ("http", 6),
    // The program.
    ("logging", 7),
    ("docgen", 7),
    ("server", 8),
    ("cli", 9),
    ("main", 10),
    ("lib", 10),
];

/// Uses inside one layer that are allowed: who, whom, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("args", "color", "colour arguments"),
    ("args", "format", "format arguments"),
    ("args", "geometry", "number arguments"),
    ("config", "format", "variables that name formats"),
    ("format", "geometry", "sizes in headers"),
    (
        "error",
        "vips",
        "vips imports nothing, so its conversion lives here",
    ),
    ("monitoring", "config", "bucket bounds and namespace"),
    ("monitoring", "error", "labels of errors"),
    ("monitoring", "format", "labels of formats"),
    (
        "telemetry",
        "source",
        "the client for the services of clouds",
    ),
];

/// Uses that the layers would allow and a rule forbids: who, whom, why.
const FORBIDDEN: &[(&str, &str, &str)] = &[(
    "plan",
    "vips",
    "plans are numbers: they are tested without a codec",
)];

/// Text that may stand under some paths of `src/` only: what, where, why.
const CONFINED: &[(&str, &str, &str)] = &[
    ("warp::", "http/", "only http knows the transport"),
    ("libvips::", "vips/", "only vips knows the bindings"),
    (
        "unsafe ",
        "vips/ codec/",
        "all unsafe code is behind the boundaries to libraries in C",
    ),
    (
        "counter!",
        "monitoring",
        "a metric exists where its name and help are",
    ),
    (
        "gauge!",
        "monitoring",
        "a metric exists where its name and help are",
    ),
    (
        "histogram!",
        "monitoring",
        "a metric exists where its name and help are",
    ),
    (
        "env::var",
        "config/env.rs",
        "one place reads the environment",
    ),
    (
        "env::set_var",
        "config/env.rs",
        "configuration is passed as a value",
    ),
];

/// Files that hold what a client or a source says against a secret. They compare in constant time, which no test could
/// measure reliably; those marked have no other comparison at all. Rule: `spec/security.md` case 7.
const COMPARE_SECRETS: &[(&str, bool)] = &[
    ("url/signature.rs", true),
    ("http/secret.rs", true),
    ("http/admin.rs", false),
    ("source/seal.rs", false),
];

/// Names that `lib.rs` re-exports from a module.
const REEXPORTS: &[(&str, &str)] = &[
    ("Error", "error"),
    ("Kind", "error"),
    ("Options", "options"),
    ("sign", "url"),
];

/// Folders where every file is one entry of the table in `mod.rs`.
const LISTS: &[&str] = &["ops", "decode", "encode"];

/// Lines of a file without its tests: no file above the first number, half of the files not above the second.
const LARGEST_FILE: usize = 400;
const MEDIAN_FILE: usize = 150;

#[test]
fn modules_use_lower_layers_only() {
    let mut wrong = Vec::new();
    for file in sources() {
        let own = file.module();
        let Some(layer) = layer(own) else {
            wrong.push(format!("{}: `{own}` has no row in MODULES", file.name));
            continue;
        };
        for (line, used) in file.crate_paths() {
            let used = REEXPORTS
                .iter()
                .find(|(name, _)| *name == used)
                .map_or(used.as_str(), |(_, module)| module);
            let why = match self::layer(used) {
                _ if used == own => None,
                None => Some("it has no row in MODULES".to_owned()),
                Some(other) if other > layer => {
                    Some(format!("layer {other} is above layer {layer}"))
                }
                Some(other) if other == layer && !pair(EXCEPTIONS, own, used) => {
                    Some("it is in the same layer".to_owned())
                }
                Some(_) if pair(FORBIDDEN, own, used) => Some("a rule forbids it".to_owned()),
                Some(_) => None,
            };
            if let Some(why) = why {
                wrong.push(format!(
                    "{}:{line}: `{own}` uses `{used}`: {why}",
                    file.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn paths_out_of_a_folder_start_at_the_crate() {
    let mut wrong = Vec::new();
    for file in sources() {
        let code = file.production();
        // As many steps up as the file is deep lead out of every folder.
        let escape = "super::".repeat(file.depth());
        for at in found(code, &escape) {
            wrong.push(format!(
                "{}:{}: write the path from `crate::`",
                file.name,
                line_of(code, at)
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn what_is_confined_stays_where_it_belongs() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (text, place, why) in CONFINED {
            if place.split(' ').any(|place| file.name.starts_with(place)) {
                continue;
            }
            for at in found(&file.code, text) {
                wrong.push(format!(
                    "{}:{}: `{text}` belongs to {place}: {why}",
                    file.name,
                    line_of(&file.code, at)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn secrets_are_compared_in_constant_time() {
    let files = sources();
    for (name, nothing_else) in COMPARE_SECRETS {
        let file = files.iter().find(|file| file.name == *name).unwrap();
        let code = file.production();
        assert!(code.contains(".ct_eq("), "{name} compares no secret");
        for text in ["==", "!=", ".eq(", ".cmp("] {
            assert!(!(*nothing_else && code.contains(text)), "{name}: `{text}`");
        }
    }
    // Whoever else compares in constant time belongs into the list.
    for file in files
        .iter()
        .filter(|file| file.production().contains(".ct_eq("))
    {
        let listed = COMPARE_SECRETS.iter().any(|(name, _)| *name == file.name);
        assert!(listed, "{} is not in COMPARE_SECRETS", file.name);
    }
}

#[test]
fn every_file_of_a_list_is_in_its_table() {
    let files = sources();
    let mut wrong = Vec::new();
    for folder in LISTS {
        let table = files
            .iter()
            .find(|file| file.name == format!("{folder}/mod.rs"))
            .map(|file| file.code.as_str())
            .unwrap_or_default();
        for file in &files {
            let Some(name) = file
                .name
                .strip_prefix(&format!("{folder}/"))
                .and_then(|rest| rest.strip_suffix(".rs"))
                .filter(|name| *name != "mod" && !name.contains('/'))
            else {
                continue;
            };
            if found(table, &format!("{name}::")).is_empty() {
                wrong.push(format!("{}: nothing in {folder}/mod.rs uses it", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn files_stay_within_their_budget() {
    let mut sizes: Vec<(usize, String)> = sources()
        .into_iter()
        .filter(|file| !file.is_test)
        .map(|file| (file.production().lines().count(), file.name))
        .collect();
    sizes.sort();
    let large: Vec<_> = sizes.iter().filter(|(n, _)| *n > LARGEST_FILE).collect();
    assert!(large.is_empty(), "split these: {large:?}");
    let median = sizes[sizes.len() / 2].0;
    assert!(
        median <= MEDIAN_FILE,
        "half of the files have over {median} lines"
    );
}

#[test]
fn the_tables_are_in_order() {
    for (from, to, reason) in EXCEPTIONS.iter().chain(FORBIDDEN) {
        assert!(
            layer(from).is_some() && layer(to).is_some(),
            "{from} or {to} is no module"
        );
        assert!(!reason.is_empty(), "{from} → {to} has no reason");
    }
    for (from, to, _) in EXCEPTIONS {
        assert_eq!(layer(from), layer(to), "{from} → {to} needs no exception");
        assert!(
            !pair(EXCEPTIONS, to, from),
            "{from} and {to} use each other"
        );
    }
    let files = sources();
    for (module, _) in MODULES {
        let is = |file: &Source| file.module() == *module;
        assert!(files.iter().any(is), "`{module}` has a row and no file");
    }
}

#[test]
fn the_reader_sees_what_it_should() {
    let file = Source {
        name: "ops/blur.rs".to_owned(),
        is_test: false,
        code: blank(
            "use crate::{args::{self, Args}, color::Rgb};\nuse crate::geometry as g;\n\
             // crate::http\n/* crate::server */ let s = \"crate::cli \\\" crate::cli\";\n\
             let c = '\"'; let x: &'static str = r#\"crate::docgen\"#; crate::plan::go();\n",
        ),
    };
    let used: Vec<_> = file.crate_paths();
    assert_eq!((file.depth(), file.module()), (2, "ops"));
    let expected = [(1, "args"), (1, "color"), (2, "geometry"), (5, "plan")];
    assert_eq!(used, expected.map(|(line, name)| (line, name.to_owned())));
}

#[test]
fn unit_tests_are_told_from_production() {
    let file = Source {
        name: "plan/mod.rs".to_owned(),
        is_test: false,
        code: "#[cfg(test)]\nmod properties;\nfn real() {}\n#[cfg(test)]\nmod tests {\n}\n"
            .to_owned(),
    };
    assert_eq!(file.test_modules(), ["plan/properties"]);
    assert!(file.production().ends_with("fn real() {}\n"));
}

/// One source file with comments and literals blanked out.
struct Source {
    /// Path below `src/`, with slashes.
    name: String,
    code: String,
    /// Whether another file declares it under `#[cfg(test)]`.
    is_test: bool,
}

impl Source {
    /// The module at the top of the crate that the file belongs to.
    fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules the file is below the crate: 1 at the top.
    fn depth(&self) -> usize {
        let file = self.name.strip_suffix("/mod.rs").unwrap_or(&self.name);
        file.split('/').count()
    }

    /// The code before the unit tests; nothing for a file that is compiled for tests only.
    fn production(&self) -> &str {
        if self.is_test {
            return "";
        }
        let inline = self
            .code
            .match_indices("#[cfg(test)]\nmod ")
            .find(|(at, text)| {
                let rest = self.code[at + text.len()..].lines().next();
                rest.is_some_and(|line| line.ends_with('{'))
            });
        inline.map_or(&self.code, |(at, _)| &self.code[..at])
    }

    /// The modules that this file declares for tests only, as paths without their ending.
    fn test_modules(&self) -> Vec<String> {
        let folder = self
            .name
            .strip_suffix("/mod.rs")
            .unwrap_or_else(|| self.name.strip_suffix(".rs").unwrap_or(&self.name));
        let declared = self.code.split("#[cfg(test)]\nmod ").skip(1);
        declared
            .filter_map(|rest| rest.lines().next()?.strip_suffix(';'))
            .map(|name| format!("{folder}/{name}"))
            .collect()
    }

    /// The first segment of every path that starts at the crate, with its line; groups are taken apart.
    fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        for at in found(&self.code, "crate::") {
            let rest = &self.code[at + "crate::".len()..];
            let line = line_of(&self.code, at);
            match rest.strip_prefix('{') {
                None => paths.push((line, first_word(rest))),
                Some(group) => {
                    for item in group_items(group) {
                        paths.push((line, first_word(item.trim_start())));
                    }
                }
            }
        }
        paths
    }
}

/// The parts of a use group between its outer commas; `group` starts after the opening brace.
fn group_items(group: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Where `text` stands in `code` as words of its own.
fn found(code: &str, text: &str) -> Vec<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(text)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(word))
        // `super::` inside a longer chain is counted once, at its start.
        .filter(|at| !code[..*at].ends_with("super::"))
        .collect()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

fn layer(module: &str) -> Option<u8> {
    MODULES
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

fn pair(table: &[(&str, &str, &str)], from: &str, to: &str) -> bool {
    table.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

/// The text with comments, strings and character literals replaced by blanks; line breaks stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => find_from(&chars, i, |j| at(j) == '\n'),
            ('/', '*') => find_from(&chars, i, |j| at(j) == '*' && at(j + 1) == '/') + 2,
            ('"', _) => string_end(&chars, i + 1),
            ('r', '"' | '#') if !at(i.wrapping_sub(1)).is_alphanumeric() => raw_end(&chars, i + 1),
            ('\'', '\\') => find_from(&chars, i + 3, |j| at(j) == '\'') + 1,
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
        } else {
            let skipped = &chars[i..end.min(chars.len())];
            out.extend(skipped.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

/// The first index from `start` where `stop` holds, or the end.
fn find_from(chars: &[char], start: usize, stop: impl Fn(usize) -> bool) -> usize {
    (start..chars.len())
        .find(|j| stop(*j))
        .unwrap_or(chars.len())
}

/// The index after the closing quote of a string whose text starts at `i`.
fn string_end(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// The index after a raw string whose hashes or quote start at `i`; `i - 1` where it is no raw string.
fn raw_end(chars: &[char], i: usize) -> usize {
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    if chars.get(i + hashes) != Some(&'"') {
        return i - 1;
    }
    let closing: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let text = i + hashes + 1;
    find_from(chars, text, |j| chars[j..].starts_with(&closing)) + closing.len()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let mut files: Vec<Source> = paths
        .into_iter()
        .map(|path| Source {
            name: path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
            code: blank(&fs::read_to_string(&path).unwrap()),
            is_test: false,
        })
        .collect();
    let tests: Vec<String> = files.iter().flat_map(Source::test_modules).collect();
    for file in &mut files {
        // A folder of tests counts as a whole.
        file.is_test = tests.iter().any(|test| {
            let rest = file.name.strip_prefix(test.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
}
