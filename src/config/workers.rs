//! Worker threads and queue.

use std::time::Duration;

use super::draft::Draft;
use super::env::Env;
use super::machine;
use super::types::format::{INT, SECONDS, STRING};
use super::types::{non_negative, positive, seconds};
use super::var::{Alias, Blank, Scope, Var};

/// `spec/http.md` section 6.
#[derive(Clone, Debug, Default)]
pub struct WorkersConfig {
    /// `WORKERS`: parallel image jobs, at least 1.
    pub workers: usize,
    /// `REQUESTS_QUEUE_SIZE`: waiting requests beyond the running ones; 0 is unlimited.
    pub queue_size: usize,
    /// `MAX_DOWNLOADS_PER_HOST`: downloads from one host at the same time; 0 is unlimited.
    pub max_downloads_per_host: usize,
    /// `MAX_SOURCE_MEMORY`: bytes of sources in memory; 0 is unlimited.
    pub max_source_memory: u64,
    /// `MAX_DECODED_MEMORY`: bytes that running jobs may take for pixels; 0 is unlimited.
    pub max_decoded_memory: u64,
    /// `MAX_QUEUE_WAIT`: longest expected wait for a worker; zero is unlimited.
    pub max_queue_wait: Duration,
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "WORKERS",
        "",
        INT,
        "How many images are processed at the same time. Downloads do not count. Not read inside AWS Lambda, where it is \
         1.",
        |d, v| positive(v).map(|n| d.workers = Some(n)),
    )
    .computed("twice the number of available CPUs", |c| {
        c.workers.workers.to_string()
    })
    .aliases(&[Alias::deprecated("CONCURRENCY")]),
    Var::new(
        "REQUESTS_QUEUE_SIZE",
        "0",
        INT,
        "How many requests there may be beyond the number of workers, downloading or waiting; further ones are answered \
         429. 0 is unlimited. Not read inside AWS Lambda.",
        |d, v| non_negative(v).map(|n| d.config.workers.queue_size = n),
    ),
    Var::new(
        "MAX_DOWNLOADS_PER_HOST",
        "",
        INT,
        "How many sources are downloaded at the same time from one host (name and port; the bucket of an object store); \
         further ones wait for each other, in order of arrival. So a slow host keeps neither the workers nor other hosts \
         waiting. Redirects count for the host of the source URL, raw streams and local files do not count. 0 is \
         unlimited.",
        |d, v| non_negative(v).map(|n| d.max_downloads_per_host = Some(n)),
    )
    .scope(Scope::Own)
    .computed("16 times the number of workers", |c| {
        c.workers.max_downloads_per_host.to_string()
    }),
    Var::new(
        "MAX_SOURCE_MEMORY",
        "268435456",
        INT,
        "How many bytes of sources may be in memory, while they are downloaded, wait or are processed. Beyond that \
         downloads are read no further until there is room; one at a time goes on all the same. 0 is unlimited.",
        |d, v| non_negative(v).map(|n| d.config.workers.max_source_memory = n),
    )
    .scope(Scope::Own),
    Var::new(
        "MAX_DECODED_MEMORY",
        "",
        INT,
        "How many bytes the pictures on the workers may take for their pixels, as estimated from size, formats and options. \
         A picture that does not fit waits until others are done, one that is larger is processed alone. 0 is unlimited.",
        |d, v| non_negative(v).map(|n| d.max_decoded_memory = Some(n)),
    )
    .scope(Scope::Own)
    .computed("half of the memory that the process may use", |c| {
        c.workers.max_decoded_memory.to_string()
    }),
    Var::new(
        "MAX_QUEUE_WAIT",
        "0",
        SECONDS,
        "How many seconds a request may have to wait for a worker, as estimated from the work before it; one that would wait \
         longer is answered 503 at once. 0: only requests are refused that could not be done before `IMGPROXY_TIMEOUT`.",
        |d, v| seconds(v).map(|t| d.config.workers.max_queue_wait = t),
    )
    .scope(Scope::Own),
    LAMBDA,
];

/// Inside AWS Lambda one request comes at a time, and the two variables above are not even parsed.
pub(super) fn detect_lambda(draft: &mut Draft, env: &dyn Env) {
    draft.lambda = env.get(LAMBDA.name).is_some_and(|v| LAMBDA.counts(&v));
}

/// Whether `var` is not read because of [`detect_lambda`].
pub(super) fn is_ignored(draft: &Draft, var: &Var) -> bool {
    draft.lambda && matches!(var.name, "WORKERS" | "REQUESTS_QUEUE_SIZE")
}

/// The default number of workers.
pub(super) fn complete(draft: &mut Draft) {
    // Counts the CPUs that the container may use, not those of the machine.
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let default = if draft.lambda { 1 } else { 2 * cpus };
    let workers = draft.workers.unwrap_or(default);
    draft.config.workers.workers = workers;
    draft.config.workers.max_downloads_per_host = draft
        .max_downloads_per_host
        .unwrap_or_else(|| workers.saturating_mul(DOWNLOADS_PER_WORKER));
    // The rest is for sources, results, caches and what estimates leave out.
    draft.config.workers.max_decoded_memory = draft
        .max_decoded_memory
        .unwrap_or_else(|| machine::memory().map_or(0, |bytes| bytes / 2));
}

/// A download that takes as long as 15 jobs still keeps its worker busy.
const DOWNLOADS_PER_WORKER: usize = 16;

const LAMBDA: Var = Var::new(
    "AWS_LAMBDA_FUNCTION_NAME",
    "",
    STRING,
    "Set by AWS Lambda: one worker, no limit of the queue.",
    |_, _| Ok(()),
)
.scope(Scope::Bare)
.blank(Blank::EmptyUnset);
