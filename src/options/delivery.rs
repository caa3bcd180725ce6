//! Options about the response around the picture.

use base64::Engine;

use crate::args::{Access, Canonical, Group, LENIENT_BASE64, OptionDef, number};

/// File name, attachment, expiry, cache buster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// `filename`: the stem for `Content-Disposition`.
    pub filename: Option<String>,
    /// `return_attachment`.
    pub attachment: Option<bool>,
    /// `expires`: Unix seconds; 0 and negative values never expire.
    pub expires: Option<i64>,
    /// `cachebuster`.
    pub cachebuster: Option<String>,
    /// `bypass_cache`: the server's own caches are neither asked nor filled.
    pub bypass_cache: bool,
    /// Names of the presets that were applied, in order, for the log.
    pub used_presets: Vec<String>,
}

impl Delivery {
    /// Writes the cache buster, the only field here that separates cached results.
    pub(super) fn canonical_for_cache(&self, out: &mut Canonical) {
        if let Some(text) = &self.cachebuster {
            out.option(CACHEBUSTER.name, &[text]);
        }
    }

    /// Writes the fields that only change response headers.
    pub(super) fn canonical_for_headers(&self, out: &mut Canonical) {
        if let Some(expires) = self.expires {
            out.option(EXPIRES.name, &[&expires]);
        }
        if let Some(filename) = &self.filename {
            // A decoded name may contain separators.
            out.option(FILENAME.name, &[&LENIENT_BASE64.encode(filename), &1]);
        }
        out.switch(RETURN_ATTACHMENT.name, self.attachment);
        if self.bypass_cache {
            out.option(BYPASS_CACHE.name, &[&1]);
        }
    }
}

/// Every option about the response, in the order of the documentation.
pub static DELIVERY_OPTIONS: &[&OptionDef<Delivery>] = &[
    &CACHEBUSTER,
    &EXPIRES,
    &FILENAME,
    &RETURN_ATTACHMENT,
    &BYPASS_CACHE,
];

/// `bypass_cache`.
pub static BYPASS_CACHE: OptionDef<Delivery> = OptionDef {
    name: "bypass_cache",
    aliases: &["bc"],
    usage: "bypass_cache:%bypass_cache",
    example: "bypass_cache:1",
    group: Group::Handling,
    summary: "Make the result anew, whatever the server's caches have",
    docs: "A boolean, default false. When true, the result is neither taken from the server's result cache nor kept in it, \
and the source is downloaded anew. Needs `IMGPROXY_ALLOW_BYPASS_CACHE`; without it the option is an unknown one, 404. Caches \
between server and client do not know of it.",
    access: Access::BypassCache,
    apply: |delivery, args| {
        delivery.bypass_cache = args.single("bypass_cache")?.bool();
        Ok(())
    },
};

/// `cachebuster`.
pub static CACHEBUSTER: OptionDef<Delivery> = OptionDef {
    name: "cachebuster",
    aliases: &["cb"],
    usage: "cachebuster:%string",
    example: "cachebuster:v2",
    group: Group::Handling,
    summary: "A text that makes the URL, and the cached result, another one",
    docs: "Does nothing to the picture. Change the text when the source has changed, so that caches between server and \
client, and this server's own cache, fetch the result anew. `cachebuster:` takes back a text that a preset has set. Default: no text.",
    access: Access::Open,
    apply: |delivery, args| {
        let text = args.single("cachebuster")?.text();
        delivery.cachebuster = (!text.is_empty()).then(|| text.to_owned());
        Ok(())
    },
};

/// `expires`; whether the moment has passed is judged by the parser, which has the time.
pub static EXPIRES: OptionDef<Delivery> = OptionDef {
    name: "expires",
    aliases: &["exp"],
    usage: "expires:%timestamp",
    example: "expires:4102444800",
    group: Group::Handling,
    summary: "The moment after which the URL answers 404",
    docs: "Unix time in seconds, a signed integer. From the second after it on, the URL is answered with 404. Until then \
the remaining time limits `max-age` in `Cache-Control`. 0 (default) and negative values never expire.",
    access: Access::Open,
    apply: |delivery, args| {
        let arg = args.single("expires")?;
        let seconds = number::int(arg.text()).ok_or_else(|| arg.error("unix timestamp"))?;
        delivery.expires = Some(seconds);
        Ok(())
    },
};

/// `filename`.
pub static FILENAME: OptionDef<Delivery> = OptionDef {
    name: "filename",
    aliases: &["fn"],
    usage: "filename:%filename:%encoded",
    example: "filename:holiday",
    group: Group::Handling,
    summary: "Name of the result when it is saved",
    docs: "The file name without extension for `Content-Disposition`; the extension of the result's format is added. \
By default the name comes from the source URL. When `encoded` is true, the name is URL-safe Base64, which \
allows any character; otherwise it is used exactly as written, percent escapes included. An empty name is no name.",
    access: Access::Open,
    apply: |delivery, args| {
        args.at_most(2, "filename")?;
        let name = args.at(0, "filename");
        let encoded = args.given(1, "filename").is_some_and(|arg| arg.bool());
        let name = if encoded {
            name.base64()?
        } else {
            name.text().to_owned()
        };
        delivery.filename = Some(name).filter(|name| !name.is_empty());
        Ok(())
    },
};

/// `return_attachment`.
pub static RETURN_ATTACHMENT: OptionDef<Delivery> = OptionDef {
    name: "return_attachment",
    aliases: &["att"],
    usage: "return_attachment:%return_attachment",
    example: "return_attachment:1",
    group: Group::Handling,
    summary: "Make browsers save the result instead of showing it",
    docs: "A boolean. When true, `Content-Disposition` says `attachment` instead of `inline`. The default is \
`IMGPROXY_RETURN_ATTACHMENT`.",
    access: Access::Open,
    apply: |delivery, args| {
        delivery.attachment = Some(args.single("return_attachment")?.bool());
        Ok(())
    },
};
