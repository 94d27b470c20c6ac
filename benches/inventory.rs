//! What decides that an object is not written: the hash of its body, and the difference between what is desired and
//! what exists. Run it with `make bench`; figures and conditions are in `benches/README.md`.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use dbqo::logic::inventory::{Doubt, Inventory};
use dbqo::logic::memo::RowHash;
use dbqo::logic::object::{AppliedHash, Desired, GroupKind, Kind, Known, ObjectId};
use dbqo::logic::render::Rendered;
use dbqo::logic::row::Row;

// As the operator has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const OBJECTS: usize = 10_000;
/// Bytes of a body; the rendered Deployments have about as many.
const BODY: usize = 900;

fn main() {
    // Only `cargo bench` says so; `cargo test --benches` has nothing to test here.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(40)
        .configure_from_args();
    hash(&mut criterion);
    difference(&mut criterion);
    criterion.final_summary();
}

fn hash(criterion: &mut Criterion) {
    let body = "x".repeat(BODY);
    let mut group = criterion.benchmark_group("applied hash");
    group.throughput(Throughput::Bytes(BODY as u64));
    group.bench_function(format!("{BODY} bytes"), |b| b.iter(|| AppliedHash::of(black_box(body.as_bytes()))));
    group.finish();
    let row = Row { json: body, key: None, others: Vec::new() };
    let mut group = criterion.benchmark_group("row hash");
    group.throughput(Throughput::Bytes(BODY as u64));
    group.bench_function(format!("{BODY} bytes"), |b| b.iter(|| RowHash::of(black_box(&row))));
    group.finish();
}

/// As a pass has it: the identities of all that is desired, what is to be written, what is to be deleted.
fn difference(criterion: &mut Criterion) {
    let kind = config_map();
    let mut inventory = Inventory::of((0..OBJECTS).map(|number| {
        let known = Known { uid: "u".into(), hash: Some(hash_of(number, 0)), verified: true, ..Known::default() };
        (id(&kind, number), known)
    }));
    let body = format!(r#"{{"metadata":{{{}"#, "x".repeat(BODY));
    let mut group = criterion.benchmark_group(format!("inventory difference, {OBJECTS} objects"));
    group.throughput(Throughput::Elements(OBJECTS as u64));
    for percent in [0, 1, 100] {
        let desired: Vec<Desired> = (0..OBJECTS)
            .map(|number| {
                let changed = number % 100 < percent;
                let body = changed.then_some(body.as_str());
                Desired::new(id(&kind, number), kind.clone(), hash_of(number, usize::from(changed)), 1, body)
            })
            .collect();
        let copy = || Rendered { desired: desired.clone(), ..Rendered::default() };
        group.bench_function(format!("{percent} % changed"), |b| {
            b.iter_batched(
                copy,
                |rendered| {
                    let wanted: HashSet<ObjectId> = rendered.desired.iter().map(|desired| desired.id.clone()).collect();
                    let plan = inventory.plan(rendered.desired);
                    let loose = inventory.without(|id| wanted.contains(id));
                    let stale = inventory.stale(loose.iter(), &Doubt::None);
                    assert_eq!((plan.update.len(), stale.len()), (OBJECTS / 100 * percent, 0));
                    plan
                },
                BatchSize::LargeInput,
            )
        });
    }
    group.finish();
}

fn config_map() -> Arc<Kind> {
    let group_kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
    Arc::new(Kind {
        group_kind: Arc::new(group_kind),
        version: "v1".into(),
        plural: "configmaps".into(),
        namespaced: true,
    })
}

fn id(kind: &Kind, number: usize) -> ObjectId {
    ObjectId { kind: kind.group_kind.clone(), namespace: Some("team".into()), name: format!("object-{number}") }
}

fn hash_of(number: usize, version: usize) -> AppliedHash {
    AppliedHash::of(format!("{number} {version}").as_bytes())
}
