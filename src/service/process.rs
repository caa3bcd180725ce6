//! From a source to its result: what the job should need, its turn in the queue, its time on a worker.
//!
//! Remembers what sources look like, so that a request that there is no time for is refused before its source is fetched
//! again.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Instant;

use quick_cache::sync::Cache;

use super::image::{ImageService, ImageWorkers};
use super::lookup::Wanted;
use super::queue::Demand;
use super::workers::{Outcome, Place};
use crate::Error;
use crate::format::ImageFormat;
use crate::monitoring::{self, InProgress, Span};
use crate::processing::estimate::{Estimate, Facts};
use crate::processing::{Job, Processed};
use crate::source::SourceImage;
use crate::vips::Cancel;

/// A request's place in the system of image jobs.
pub(super) type ImagePlace = Place<Job, Result<Processed, Error>, Cancel>;

impl Outcome for Result<Processed, Error> {
    fn is_complete(&self) -> bool {
        self.as_ref().is_ok_and(|processed| !processed.skipped)
    }
}

/// What the sources of late look like. A hint: a source may be another one by now.
pub(super) struct Seen {
    facts: Cache<u64, Facts>,
    hasher: RandomState,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            facts: Cache::new(MOST_SEEN),
            hasher: RandomState::new(),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("sources", &self.facts.len())
            .finish_non_exhaustive()
    }
}

impl Seen {
    fn get(&self, url: &str) -> Option<Facts> {
        self.facts.get(&self.hasher.hash_one(url))
    }

    fn learn(&self, url: &str, source: &SourceImage) -> Facts {
        let facts = Facts::of(source);
        self.facts.insert(self.hasher.hash_one(url), facts);
        facts
    }
}

impl ImageService {
    /// Refuses what cannot be done in time, before anything is fetched: where the source was seen before.
    pub(super) fn check_time(&self, wanted: &Wanted) -> Result<(), Error> {
        match self.seen.get(&wanted.understood.parsed.source_url) {
            Some(facts) => Ok(self.queue().check(&self.demand(wanted, &facts))?),
            None => Ok(()),
        }
    }

    /// Waits for a worker and has the job done.
    pub(super) async fn process(
        &self,
        place: ImagePlace,
        wanted: &Wanted,
        job: Job,
    ) -> Result<Processed, Error> {
        let facts = self
            .seen
            .learn(&wanted.understood.parsed.source_url, &job.source);
        let queued = Instant::now();
        let slot = place.worker(self.demand(wanted, &facts)).await?;
        let waited = queued.elapsed().as_secs_f64();
        monitoring::span(Span::Queue, waited);
        monitoring::operation_waited(waited);
        let _images = InProgress::images();
        slot.run(job, Cancel::new()).await?
    }

    fn queue(&self) -> &super::queue::Queue {
        let workers: &ImageWorkers = &self.parts.workers;
        workers.queue()
    }

    fn demand(&self, wanted: &Wanted, facts: &Facts) -> Demand {
        let features = wanted.request.features;
        let settings = &self.parts.settings;
        let Estimate {
            work,
            bytes,
            result,
        } = facts.estimate(&wanted.understood.parsed.options, settings, features);
        let class = result as usize;
        Demand {
            kind: facts.format as usize * ImageFormat::ALL.len() + class,
            class,
            work,
            bytes,
            deadline: wanted.request.deadline,
        }
    }
}

/// Sources whose headers are remembered: some hundred kilobytes.
const MOST_SEEN: usize = 10_000;
