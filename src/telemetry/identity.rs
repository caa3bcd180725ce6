//! New identities and the sampler. Rule: `spec/monitoring.md` A2.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::telemetry::open_telemetry::Sampler;

/// How traces are named and chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identities {
    /// Trace ids begin with the time, as AWS X-Ray wants it.
    pub(super) xray: bool,
    /// Which traces are kept.
    pub(super) sampler: Sampler,
    /// Share of the samplers with a ratio, 0 to 1.
    pub(super) ratio: f64,
}

impl Identities {
    /// A trace id; never 0.
    pub(super) fn trace(&self) -> u128 {
        let random = rand::random::<u128>().max(1);
        if !self.xray {
            return random;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        (u128::from(now.as_secs()) << 96) | (random & (u128::MAX >> 32))
    }

    /// Whether the trace is kept; `asked` is the caller's decision.
    pub(super) fn is_sampled(&self, trace: u128, asked: Option<bool>) -> bool {
        match self.sampler {
            Sampler::AlwaysOn => true,
            Sampler::AlwaysOff => false,
            Sampler::Ratio => self.is_in_share(trace),
            Sampler::ParentOrOn => asked.unwrap_or(true),
            Sampler::ParentOrOff => asked.unwrap_or(false),
            Sampler::ParentOrRatio => asked.unwrap_or_else(|| self.is_in_share(trace)),
        }
    }

    /// By the random low bits of the id, so that every service on the way decides alike.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a share of 2^63 need not be exact; the low half is meant"
    )]
    fn is_in_share(&self, trace: u128) -> bool {
        let number = (trace as u64) >> 1;
        self.ratio >= 1.0 || (number as f64) < self.ratio * (1_u64 << 63) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Identities = Identities {
        xray: true,
        sampler: Sampler::ParentOrOn,
        ratio: 1.0,
    };

    #[test]
    fn xray_ids_begin_with_the_time() {
        let id = ALL.trace();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let time = u64::try_from(id >> 96).unwrap();
        assert!(now.abs_diff(time) < 5, "{id:032x}");
        assert_ne!(id, ALL.trace());
    }

    #[test]
    fn samplers() {
        let (low, high) = (1_u128, u128::from(u64::MAX));
        for (sampler, asked, expected) in [
            (Sampler::AlwaysOn, Some(false), [true, true]),
            (Sampler::AlwaysOff, Some(true), [false, false]),
            (Sampler::Ratio, Some(false), [true, false]),
            (Sampler::ParentOrOn, None, [true, true]),
            (Sampler::ParentOrOn, Some(false), [false, false]),
            (Sampler::ParentOrOff, None, [false, false]),
            (Sampler::ParentOrRatio, None, [true, false]),
            (Sampler::ParentOrRatio, Some(true), [true, true]),
        ] {
            let ids = Identities {
                sampler,
                ratio: 0.5,
                ..ALL
            };
            let found = [low, high].map(|id| ids.is_sampled(id, asked));
            assert_eq!(found, expected, "{sampler:?} {asked:?}");
        }
    }
}
