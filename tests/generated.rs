//! The generated files in the repository are what the program generates, and their links lead somewhere.

use std::path::Path;

use imgforge::docgen;

#[test]
fn files_are_current() {
    for document in docgen::documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document.path);
        let current = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            current == document.text,
            "{} is not current, run `cargo run -- docs`",
            document.path
        );
    }
}

#[test]
fn links_between_documents_resolve() {
    let documents = docgen::documents();
    for document in &documents {
        for target in document
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(document.path).parent().unwrap();
            let text = if file.is_empty() {
                document.text.clone()
            } else {
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(folder)
                    .join(file);
                std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            };
            let has_anchor = anchor.is_empty()
                || text.contains(&format!("id=\"{anchor}\""))
                || text.lines().any(|line| {
                    line.starts_with('#')
                        && line
                            .trim_start_matches(['#', ' '])
                            .to_lowercase()
                            .replace(' ', "-")
                            == anchor
                });
            assert!(has_anchor, "{}: {target}", document.path);
        }
    }
}
