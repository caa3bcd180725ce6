//! Renders the tables of the program into documentation. Nothing here is written twice: texts live beside the code.
//!
//! `imgforge docs` writes the files, `tests/generated.rs` fails where one is not current.

mod configuration;
mod errors;
mod options;
mod page;
mod tables;

/// A generated file, or the generated part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Path below the root of the repository.
    pub path: &'static str,
    /// What is generated.
    pub text: String,
    /// Name in the markers around the part; `None` where the whole file is generated.
    pub part: Option<&'static str>,
}

impl Document {
    fn whole(path: &'static str, text: String) -> Self {
        Self {
            path,
            text,
            part: None,
        }
    }

    fn part(path: &'static str, name: &'static str, text: String) -> Self {
        Self {
            path,
            text,
            part: Some(name),
        }
    }

    /// What the file should be, given what it is; a file that does not exist is empty.
    pub fn apply(&self, current: &str) -> String {
        match self.part {
            Some(name) => page::with_part(current, name, &self.text),
            None => self.text.clone(),
        }
    }
}

/// Everything that is generated. The content does not depend on the machine or on its libvips.
pub fn documents() -> Vec<Document> {
    vec![
        Document::whole("docs/processing-options.md", options::page()),
        Document::whole("docs/configuration.md", configuration::page()),
        Document::whole("docs/errors.md", errors::page()),
        Document::whole("compose/.env.example", configuration::env_example()),
        Document::part("docs/formats.md", "formats table", tables::formats()),
        Document::part("docs/monitoring.md", "metrics table", tables::metrics()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
