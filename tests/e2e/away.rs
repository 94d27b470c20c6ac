//! What happens to rows and objects while no operator runs, and changes are notified before and after.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::listening::notified;
use crate::support::world::{PATIENCE, World};

async fn change(world: &World, name: &str, patch: Value) {
    world.config_maps().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Neither is there anybody who listens then, nor does anything look by time.
#[tokio::test]
async fn whatever_was_done_while_no_operator_ran_is_put_right_by_the_next_one() {
    let names = ["edited", "emptied", "deleted", "unlabelled", "stays", "goes-1", "goes-2"];
    // The next one need not wait for the end of the one that was killed.
    let mut world = World::with_flags("away", &names, &["--leader-elect=false"]).await;
    world.create("q", notified(json!({"mode": "Notify"}))).await;
    for (round, is_crash) in [(1, false), (2, true)] {
        world.listening("q").await;
        world.another_pass("q").await;
        let before = world.uids().await;
        let versions = world.versions("q", &["stays"]).await;
        if is_crash {
            world.operator.kill();
        } else {
            world.operator.terminate();
        }
        change(&world, "edited", json!({"data": {"v": "CANARY"}})).await;
        change(&world, "emptied", json!({"data": null})).await;
        change(&world, "unlabelled", json!({"metadata": {"labels": null}})).await;
        world.config_maps().delete("deleted", &DeleteParams::default()).await.unwrap();
        let (gone, new) = (format!("goes-{round}"), format!("new-{round}"));
        world.run_sql(&format!("DELETE FROM t WHERE name = '{gone}'; INSERT INTO t VALUES ('{new}', 'one')")).await;
        world.restart();
        let mut wanted: Vec<String> = before.keys().filter(|name| **name != gone).cloned().chain([new]).collect();
        wanted.sort();
        eventually("all are there", PATIENCE, async || (world.managed().await == wanted).then_some(())).await;
        for name in &wanted {
            world.until_value(name, Some("one")).await;
        }
        world.until_value(&gone, None).await;
        let after = world.uids().await;
        for (name, uid) in &before {
            let stayed = after.get(name) == Some(uid);
            assert_eq!(stayed, *name != gone && name != "deleted", "{name}");
        }
        assert_eq!(world.versions("q", &["stays"]).await[1], versions[1], "nothing was wrong with it");
    }
    // And what is notified is heard again.
    world.listening("q").await;
    world.another_pass("q").await;
    world.run_sql("UPDATE t SET name = 'a' WHERE name = 'stays'").await;
    world.hears(&world.sql, "heard").await;
}
