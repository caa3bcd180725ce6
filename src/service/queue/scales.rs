//! How much longer jobs take on this machine, under this load, than their estimates say.
//!
//! Learnt from the jobs that ended, apart for each kind of job: a quotient of two sums that forget.

use std::time::Duration;

use super::Demand;

/// What has been learnt so far.
#[derive(Debug, Default)]
pub(super) struct Scales {
    by_kind: Vec<Scale>,
    by_class: Vec<Scale>,
}

/// Estimated and measured seconds of the jobs of late.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    estimated: f64,
    measured: f64,
    jobs: u32,
}

/// How long a job should take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prediction {
    /// By what was learnt, or where nothing was, by the estimate alone.
    pub(super) work: Duration,
    /// Whether enough was learnt to refuse requests for it.
    pub(super) is_learnt: bool,
}

impl Prediction {
    /// What is certain enough to be held against others.
    pub(super) fn known(self) -> Duration {
        if self.is_learnt {
            self.work
        } else {
            Duration::ZERO
        }
    }
}

impl Scales {
    /// By jobs of the same kind, else by those of the same class.
    pub(super) fn predict(&self, demand: &Demand) -> Prediction {
        let scale = [(&self.by_kind, demand.kind), (&self.by_class, demand.class)]
            .into_iter()
            .filter_map(|(scales, index)| scales.get(index))
            .find(|scale| scale.jobs >= ENOUGH);
        let factor = scale.map_or(1.0, |s| s.measured / s.estimated);
        Prediction {
            work: demand.work.mul_f64(factor.clamp(1.0 / FARTHEST, FARTHEST)),
            is_learnt: scale.is_some(),
        }
    }

    /// A job that did all of its work took so long.
    pub(super) fn learn(&mut self, demand: &Demand, took: Duration) {
        for (scales, index) in [
            (&mut self.by_kind, demand.kind),
            (&mut self.by_class, demand.class),
        ] {
            if scales.len() <= index {
                scales.resize(index + 1, Scale::default());
            }
            if let Some(scale) = scales.get_mut(index) {
                scale.learn(demand.work.max(SHORTEST), took);
            }
        }
    }
}

impl Scale {
    fn learn(&mut self, estimated: Duration, measured: Duration) {
        self.jobs = self.jobs.saturating_add(1);
        let kept = 1.0 - 1.0 / f64::from(self.jobs.min(MEMORY));
        self.estimated = self.estimated * kept + estimated.as_secs_f64();
        self.measured = self.measured * kept + measured.as_secs_f64();
    }
}

/// Jobs before anything is concluded from them.
const ENOUGH: u32 = 4;
/// Jobs that a scale goes back.
const MEMORY: u32 = 32;
/// No machine is off by more.
const FARTHEST: f64 = 1000.0;
/// Keeps the divisor above zero.
const SHORTEST: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(kind: usize, class: usize, millis: u64) -> Demand {
        Demand {
            kind,
            class,
            work: Duration::from_millis(millis),
            ..Demand::default()
        }
    }

    fn predicted(scales: &Scales, demand: &Demand) -> (u128, bool) {
        let prediction = scales.predict(demand);
        (prediction.work.as_millis(), prediction.is_learnt)
    }

    #[test]
    fn nothing_is_concluded_from_too_few_jobs() {
        let mut scales = Scales::default();
        let wanted = demand(3, 1, 10);
        for _ in 0..ENOUGH - 1 {
            scales.learn(&wanted, Duration::from_secs(1));
        }
        assert_eq!(predicted(&scales, &wanted), (10, false));
        assert_eq!(scales.predict(&wanted).known(), Duration::ZERO);
        scales.learn(&wanted, Duration::from_secs(1));
        assert_eq!(predicted(&scales, &wanted), (1000, true));
        assert_eq!(predicted(&scales, &demand(3, 1, 30)), (3000, true));
    }

    #[test]
    fn a_kind_that_is_not_known_takes_after_its_class() {
        let mut scales = Scales::default();
        for _ in 0..ENOUGH {
            scales.learn(&demand(0, 1, 10), Duration::from_millis(20));
        }
        assert_eq!(predicted(&scales, &demand(5, 1, 10)), (20, true));
        assert_eq!(predicted(&scales, &demand(5, 2, 10)), (10, false));
        for _ in 0..ENOUGH {
            scales.learn(&demand(5, 1, 10), Duration::from_millis(70));
        }
        assert_eq!(predicted(&scales, &demand(5, 1, 10)), (70, true));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut scales = Scales::default();
        let wanted = demand(0, 0, 10);
        for _ in 0..1000 {
            scales.learn(&wanted, Duration::from_secs(5));
        }
        for _ in 0..10 * MEMORY {
            scales.learn(&wanted, Duration::from_millis(20));
        }
        assert_eq!(predicted(&scales, &wanted), (20, true));
    }

    #[test]
    fn one_that_took_no_time_does_no_harm() {
        let mut scales = Scales::default();
        for _ in 0..ENOUGH {
            scales.learn(&demand(0, 0, 0), Duration::ZERO);
        }
        let prediction = scales.predict(&demand(0, 0, 1));
        assert_eq!(prediction.work, Duration::from_micros(1));
    }
}
