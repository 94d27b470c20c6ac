//! The state against a model of a database and a cluster in which anything may happen.

mod model;

use proptest::prelude::*;

use model::{Op, World};

fn op() -> impl Strategy<Value = Op> {
    let (key, name, value) = (0..4u8, 0..5u8, 0..3u8);
    prop_oneof![
        4 => (key.clone(), name.clone(), value).prop_map(|(key, name, value)| Op::SetRow { key, name, value }),
        2 => key.clone().prop_map(|key| Op::DropRow { key }),
        1 => key.prop_map(|key| Op::BreakRow { key }),
        1 => name.clone().prop_map(|name| Op::Refuse { name }),
        1 => name.clone().prop_map(|name| Op::Accept { name }),
        1 => name.clone().prop_map(|name| Op::MakeForeign { name }),
        2 => name.clone().prop_map(|name| Op::Edit { name }),
        1 => name.prop_map(|name| Op::Remove { name }),
        2 => (1..6usize).prop_map(|news| Op::Deliver { news }),
        1 => Just(Op::LoseNews),
        1 => Just(Op::Restart),
        1 => Just(Op::Relist),
        1 => Just(Op::Land),
        6 => Just(Op::Look { slow: 0, crash: None }),
        2 => any::<u8>().prop_map(|slow| Op::Look { slow, crash: None }),
        1 => (any::<u8>(), 0..4usize).prop_map(|(slow, begun)| Op::Look { slow, crash: Some(begun) }),
    ]
}

proptest! {
    // Shrunk cases are printed; they are kept as tests of their own, not in files.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_innocent_is_deleted_and_in_the_end_the_cluster_is_as_the_rows_want(
        keyed in any::<bool>(), ops in prop::collection::vec(op(), 1..40)
    ) {
        let mut world = World::new(keyed);
        ops.into_iter().for_each(|op| world.run(op));
        world.settle();
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}
