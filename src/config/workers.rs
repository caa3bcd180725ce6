//! Worker threads and queue.

use super::draft::Draft;
use super::env::Env;
use super::types::format::{INT, STRING};
use super::types::{non_negative, positive};
use super::var::{Alias, Blank, Scope, Var};

/// `spec/http.md` section 6.
#[derive(Clone, Debug, Default)]
pub struct WorkersConfig {
    /// `WORKERS`: parallel image jobs, at least 1.
    pub workers: usize,
    /// `REQUESTS_QUEUE_SIZE`: waiting requests beyond the running ones; 0 is unlimited.
    pub queue_size: usize,
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "WORKERS",
        "",
        INT,
        "How many images are processed at the same time. Not read inside AWS Lambda, where it is 1.",
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
        "How many requests may wait for a worker; further ones are answered 429. 0 is unlimited. Not read inside AWS \
         Lambda.",
        |d, v| non_negative(v).map(|n| d.config.workers.queue_size = n),
    ),
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
    draft.config.workers.workers = draft.workers.unwrap_or(default);
}

const LAMBDA: Var = Var::new(
    "AWS_LAMBDA_FUNCTION_NAME",
    "",
    STRING,
    "Set by AWS Lambda: one worker, no limit of the queue.",
    |_, _| Ok(()),
)
.scope(Scope::Bare)
.blank(Blank::EmptyUnset);
