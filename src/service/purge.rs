//! Removing results and sources before their time.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::image::ImageService;
use crate::cache::Purge;
use crate::error::Error;

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeRequest {
    /// Every variant of one URL, given as its raw request target without the route prefix and without the query; its
    /// signature and expiry do not matter. Its source as well.
    Url(String),
    /// A source, given as its URL after replacements and base URL, and all that was made of it.
    Source(String),
    /// All sources whose URL begins so, and all that was made of them.
    Prefix(String),
    /// Everything.
    All,
}

/// How much was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Results.
    pub results: usize,
    /// Sources.
    pub sources: usize,
}

/// The use case that a transport calls for a purge.
pub trait Purges: Send + Sync + 'static {
    /// Removes what is kept. What is being made while this runs is not kept either, and no later request is given it.
    ///
    /// # Errors
    /// The URL is not one that the server would answer.
    fn purge(&self, request: PurgeRequest) -> BoxFuture<'static, Result<Purged, Error>>;
}

impl Purges for ImageService {
    fn purge(&self, request: PurgeRequest) -> BoxFuture<'static, Result<Purged, Error>> {
        let service = self.clone();
        async move {
            let (of_results, of_sources) = service.purges(request)?;
            // No request that comes from now on joins what was begun before.
            service.flights.close_all();
            // Sources first: a result that is made in between is made of a new one.
            let sources = service.parts.downloads.purge(of_sources).await;
            let results = service.parts.cache.purge(of_results).await;
            Ok(Purged { results, sources })
        }
        .boxed()
    }
}

impl ImageService {
    fn purges(&self, request: PurgeRequest) -> Result<(Purge, Purge), Error> {
        let both = |purge: Purge| (purge.clone(), purge);
        Ok(match request {
            PurgeRequest::All => both(Purge::All),
            PurgeRequest::Source(url) => both(Purge::Source(url.into())),
            PurgeRequest::Prefix(prefix) => both(Purge::Prefix(prefix.into())),
            PurgeRequest::Url(target) => {
                let parsed = self.parts.rules.get().parse_unsigned(&target)?;
                let source = parsed.source_url.as_str().into();
                let variants = Purge::Variants {
                    variant_of: Self::variant_of(&parsed),
                    source,
                };
                (variants, Purge::Source(parsed.source_url.into()))
            }
        })
    }
}
