//! The recorder with the namespace applied, and the handles that it gives out.

use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::metric::{Buckets, IMGPROXY_BUCKETS, Metric, MetricKind};
use super::table::{self, METRICS};
use crate::config::MonitoringConfig;

/// The recorder with the namespace applied.
pub(super) struct Registry {
    recorder: Arc<PrometheusRecorder>,
    namespace: String,
}

impl Registry {
    pub(super) fn new(config: &MonitoringConfig) -> Result<Self, String> {
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            let bounds: &[f64] = match metric.buckets {
                Buckets::None => continue,
                Buckets::Http => &config.buckets_http,
                Buckets::Processing => &config.buckets_processing,
                Buckets::Fetch => &config.buckets_fetch,
                Buckets::Imgproxy => IMGPROXY_BUCKETS,
            };
            let name = full_name(metric, &config.namespace);
            builder = builder
                .set_buckets_for_metric(Matcher::Full(name.clone()), bounds)
                .map_err(|error| format!("{name}: {error}"))?;
        }
        let registry = Self {
            recorder: Arc::new(builder.build_recorder()),
            namespace: config.namespace.clone(),
        };
        for metric in METRICS.iter().chain([&NAMESPACED_STATUS_CODES]) {
            let name = full_name(metric, &registry.namespace).into();
            let help = metric.help.into();
            match metric.kind {
                MetricKind::Counter => registry.recorder.describe_counter(name, None, help),
                MetricKind::Gauge => registry.recorder.describe_gauge(name, None, help),
                MetricKind::Histogram => registry.recorder.describe_histogram(name, None, help),
            }
        }
        Ok(registry)
    }

    pub(super) fn counter(&self, metric: &Metric, labels: Vec<Label>) -> Counter {
        let key = Key::from_parts(full_name(metric, &self.namespace), labels);
        self.recorder.register_counter(&key, &METADATA)
    }

    pub(super) fn gauge(&self, metric: &Metric, labels: Vec<Label>) -> Gauge {
        let key = Key::from_parts(full_name(metric, &self.namespace), labels);
        self.recorder.register_gauge(&key, &METADATA)
    }

    pub(super) fn histogram(&self, metric: &Metric, labels: Vec<Label>) -> Histogram {
        let key = Key::from_parts(full_name(metric, &self.namespace), labels);
        self.recorder.register_histogram(&key, &METADATA)
    }

    pub(super) fn counters(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
    ) -> Handles<Counter> {
        self.handles(metric, cells, labels, Self::counter)
    }

    pub(super) fn gauges(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
    ) -> Handles<Gauge> {
        self.handles(metric, cells, labels, Self::gauge)
    }

    pub(super) fn histograms(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
    ) -> Handles<Histogram> {
        self.handles(metric, cells, labels, Self::histogram)
    }

    fn handles<T: 'static>(
        &self,
        metric: &Metric,
        cells: usize,
        labels: fn(usize) -> Vec<Label>,
        register: fn(&Self, &Metric, Vec<Label>) -> T,
    ) -> Handles<T> {
        let (registry, metric) = (self.share(), *metric);
        Handles {
            labels,
            cells: (0..cells).map(|_| OnceLock::new()).collect(),
            register: Box::new(move |labels| register(&registry, &metric, labels)),
        }
    }

    /// Renders what the recorder holds.
    pub(super) fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }

    fn share(&self) -> Self {
        Self {
            recorder: Arc::clone(&self.recorder),
            namespace: self.namespace.clone(),
        }
    }
}

fn full_name(metric: &Metric, namespace: &str) -> String {
    if metric.namespaced && !namespace.is_empty() {
        format!("{namespace}_{}", metric.name)
    } else {
        metric.name.to_owned()
    }
}

/// The handles of one family, one per label set, made on first use.
pub(super) struct Handles<T> {
    labels: fn(usize) -> Vec<Label>,
    cells: Vec<OnceLock<T>>,
    register: Box<dyn Fn(Vec<Label>) -> T + Send + Sync>,
}

impl<T> Handles<T> {
    pub(super) fn record(&self, index: usize, record: impl FnOnce(&T)) {
        if let Some(cell) = self.cells.get(index) {
            record(cell.get_or_init(|| (self.register)((self.labels)(index))));
        }
    }

    pub(super) fn create(self, indices: impl IntoIterator<Item = usize>) -> Self {
        for index in indices {
            self.record(index, |_| ());
        }
        self
    }
}

static METADATA: Metadata<'static> = Metadata::new("imgforge", Level::INFO, None);

/// With a namespace, imgproxy's own counter stands beside the contract's.
pub(super) const NAMESPACED_STATUS_CODES: Metric = Metric {
    namespaced: true,
    ..table::STATUS_CODES
};
