//! `docs/processing-options.md`, from the tables of URL options.

use super::page::{Page, anchor, codes};
use crate::args::Group;
use crate::options::table::{Definition, Description};

/// An overview, then every option under the heading of its group.
pub(super) fn page() -> String {
    let options: Vec<_> = Definition::all().map(Definition::description).collect();
    let mut page = Page::new("Processing options");
    page.text(
        "An option is a path segment: its name and its arguments, divided by `:`. Options come before the source URL \
         and are carried out in a fixed order, whatever order they are written in; where two set the same thing, the \
         later wins. [URL format](url-format.md) has the rules, [errors](errors.md) what a mistake is answered with.",
    );
    page.text(
        "In the patterns `%name` is an argument. Arguments at the end may be left out. A boolean is true for `1`, `t`, \
         `T`, `TRUE`, `true` and `True`, and false for anything else.",
    );
    page.row(&["Option", "Short", "Meaning"]);
    page.rule(3);
    for (group, _) in GROUPS {
        for option in options.iter().filter(|o| o.group == *group) {
            let link = format!("[`{}`](#{})", option.name, anchor(option.name));
            page.row(&[&link, &codes(option.aliases), option.summary]);
        }
    }
    for (group, title) in GROUPS {
        page.heading(2, title);
        for option in options.iter().filter(|o| o.group == *group) {
            entry(&mut page, option);
        }
    }
    page.finish()
}

fn entry(page: &mut Page, option: &Description) {
    page.heading(3, option.name);
    page.text(&format!("{}.", option.summary));
    page.text(&format!("```\n{}\n```", option.usage));
    page.text(option.docs.trim());
    let names = match option.aliases {
        [] => String::new(),
        aliases => format!("Short: {}. ", codes(aliases)),
    };
    page.text(&format!("{names}Example: `{}`.", option.example));
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
    use crate::args::Access;

    #[test]
    fn every_option_has_a_row_and_an_entry() {
        let page = page();
        for option in Definition::all().map(Definition::description) {
            let (name, example) = (option.name, option.example);
            for text in [
                format!("\n| [`{name}`](#{name}) | {} |", codes(option.aliases)),
                format!("\n### {name}\n\n{}.\n", option.summary),
                format!("\n```\n{}\n```\n", option.usage),
                format!("Example: `{example}`.\n"),
            ] {
                assert_eq!(page.matches(&text).count(), 1, "{text}");
            }
            let limited = option.docs.contains("`IMGPROXY_ALLOW_SECURITY_OPTIONS`");
            assert_eq!(limited, option.access == Access::Security, "{name}");
            let limited = option.docs.contains("`IMGPROXY_ALLOW_BYPASS_CACHE`");
            assert_eq!(limited, option.access == Access::BypassCache, "{name}");
        }
    }
}
