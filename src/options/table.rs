//! Every URL option by name, and what the documentation says of each.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::args::{Access, ArgError, Args, Group, OptionDef};
use crate::encode::OutputOptions;
use crate::encode::options::OUTPUT_OPTIONS;
use crate::ops::{PIPELINE_OPTIONS, PipelineOptions};

use super::delivery::DELIVERY_OPTIONS;
use super::limits::LIMIT_OPTIONS;
use super::{Delivery, LimitOptions, Options, REQUEST_OPTIONS};

/// One option, whichever part of [`Options`] it acts on.
#[derive(Clone, Copy, Debug)]
pub enum Definition {
    /// Acts on the pipeline it is written in.
    Pipeline(&'static OptionDef<PipelineOptions>),
    /// Acts on the result.
    Output(&'static OptionDef<OutputOptions>),
    /// Acts on the response.
    Delivery(&'static OptionDef<Delivery>),
    /// Overrides a limit.
    Limit(&'static OptionDef<LimitOptions>),
    /// Acts on the request as a whole.
    Request(&'static OptionDef<Options>),
}

/// What an option says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Long name.
    pub name: &'static str,
    /// Short names, in order of preference.
    pub aliases: &'static [&'static str],
    /// Argument pattern.
    pub usage: &'static str,
    /// An option segment that parses.
    pub example: &'static str,
    /// Heading in the documentation.
    pub group: Group,
    /// One line.
    pub summary: &'static str,
    /// Markdown.
    pub docs: &'static str,
    /// Who may use it.
    pub access: Access,
}

impl Definition {
    /// The option with this exact long or short name.
    pub fn find(name: &str) -> Option<Self> {
        BY_NAME.get(name).copied()
    }

    /// Every option, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        let pipeline = PIPELINE_OPTIONS.iter().map(|def| Self::Pipeline(def));
        let output = OUTPUT_OPTIONS.iter().map(|def| Self::Output(def));
        let delivery = DELIVERY_OPTIONS.iter().map(|def| Self::Delivery(def));
        let request = REQUEST_OPTIONS.iter().map(|def| Self::Request(def));
        let limits = LIMIT_OPTIONS.iter().map(|def| Self::Limit(def));
        pipeline
            .chain(output)
            .chain(delivery)
            .chain(request)
            .chain(limits)
    }

    /// Validates the arguments and stores them.
    ///
    /// # Errors
    /// Where the option refuses its arguments.
    pub fn apply(self, options: &mut Options, args: &Args<'_>) -> Result<(), ArgError> {
        match self {
            Self::Pipeline(def) => (def.apply)(&mut options.pipeline, args),
            Self::Output(def) => (def.apply)(&mut options.output, args),
            Self::Delivery(def) => (def.apply)(&mut options.delivery, args),
            Self::Limit(def) => (def.apply)(&mut options.limits, args),
            Self::Request(def) => (def.apply)(options, args),
        }
    }

    /// Who may use it.
    pub fn access(self) -> Access {
        self.description().access
    }

    /// Name, documentation and access.
    pub fn description(self) -> Description {
        match self {
            Self::Pipeline(def) => describe(def),
            Self::Output(def) => describe(def),
            Self::Delivery(def) => describe(def),
            Self::Limit(def) => describe(def),
            Self::Request(def) => describe(def),
        }
    }
}

fn describe<T>(def: &OptionDef<T>) -> Description {
    Description {
        name: def.name,
        aliases: def.aliases,
        usage: def.usage,
        example: def.example,
        group: def.group,
        summary: def.summary,
        docs: def.docs,
        access: def.access,
    }
}

static BY_NAME: LazyLock<HashMap<&'static str, Definition>> = LazyLock::new(|| {
    Definition::all()
        .flat_map(|definition| {
            let Description { name, aliases, .. } = definition.description();
            std::iter::once(name)
                .chain(aliases.iter().copied())
                .map(move |name| (name, definition))
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_option_is_documented() {
        let mut names = 0;
        for definition in Definition::all() {
            let d = definition.description();
            names += 1 + d.aliases.len();
            assert!(d.usage.starts_with(&format!("{}:%", d.name)), "{}", d.usage);
            assert!(
                d.example.starts_with(&format!("{}:", d.name)),
                "{}",
                d.example
            );
            assert!(
                !d.summary.is_empty() && !d.summary.ends_with('.'),
                "{}",
                d.name
            );
            assert!(d.docs.len() > 20, "{}", d.name);
            assert!(d.docs.contains("efault"), "{}: its default", d.name);
            for name in d.aliases {
                assert_eq!(Definition::find(name).unwrap().description().name, d.name);
            }
        }
        assert_eq!(BY_NAME.len(), names, "a name is used twice");
        assert_eq!(Definition::all().count(), 46);
    }

    #[test]
    fn names_are_exact() {
        for name in ["W", "", "min_width", "gif_options", "w "] {
            assert!(Definition::find(name).is_none(), "{name:?}");
        }
    }
}
