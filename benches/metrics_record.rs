//! Recording metrics through the kept handles: time, and proof that counters allocate nothing.
//!
//! A histogram stores samples in blocks until the next upkeep, so it allocates one block for many samples. The
//! benchmark ends with an error where a record function allocates more than that.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::config::Config;
use imgforge::error::Category;
use imgforge::format::ImageFormat;
use imgforge::monitoring::{self, CacheKind, Facts, Route, Verb};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Records between two runs of the upkeep, as between two scrapes of a busy server.
const ROUND: u64 = 10_000;

/// What is recorded, and whether samples are kept until the upkeep.
const RECORDS: &[(&str, fn(), bool)] = &[
    ("counter", monitoring::request_started, false),
    ("counter, one label", || monitoring::status(200), false),
    (
        "counter, error category",
        || monitoring::error(Category::Download),
        false,
    ),
    (
        "counter, cache",
        || monitoring::cache_hit(CacheKind::Memory),
        false,
    ),
    ("histogram", || monitoring::request_finished(0.012), true),
    (
        "histogram, two labels",
        || monitoring::http_request(Verb::Get, Route::Image, 0.012),
        true,
    ),
    (
        "histogram and counter of a format",
        || monitoring::image_processed(ImageFormat::Webp, 0.012),
        true,
    ),
];

fn metrics_record(c: &mut Criterion) {
    let config = Config::from_pairs(&[]).unwrap();
    let facts = Facts {
        formats: vec![ImageFormat::Webp],
        caches: vec![CacheKind::Memory],
        cache_tiers: Vec::new(),
        schemes: Vec::new(),
        report_services: Vec::new(),
        workers: 2,
        libvips: String::new(),
    };
    monitoring::register_metrics(&config.monitoring, &facts).unwrap();
    for (name, record, keeps_samples) in RECORDS {
        let allocations = allocations(*record);
        eprintln!("{name}: {allocations} allocations in {ROUND} records");
        let allowed = if *keeps_samples { ROUND / 50 } else { 0 };
        assert!(allocations <= allowed, "{name}");
        c.bench_function(name, |b| {
            b.iter_custom(|count| {
                let mut elapsed = Duration::ZERO;
                let mut left = count;
                while left > 0 {
                    let round = left.min(ROUND);
                    left -= round;
                    let started = Instant::now();
                    (0..round).for_each(|_| record());
                    elapsed += started.elapsed();
                    monitoring::upkeep();
                }
                elapsed
            });
        });
    }
}

fn allocations(record: fn()) -> u64 {
    monitoring::upkeep();
    record();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..ROUND).for_each(|_| record());
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

criterion_group!(benches, metrics_record);
criterion_main!(benches);
