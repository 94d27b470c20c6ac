//! The main job on a real control plane and a real PostgreSQL, told as a timeline. Run it with `make demo`.
//! Ends by itself, and not with success if anything expected did not happen.

mod story;
mod world;

use world::World;

#[tokio::main]
async fn main() {
    let keep = std::env::var("DBQO_DEMO_KEEP").is_ok_and(|keep| keep == "1");
    let result = demo(keep).await;
    if let Err(error) = result {
        eprintln!("\ndemo failed: {error}");
        std::process::exit(1);
    }
}

async fn demo(keep: bool) -> Result<(), String> {
    let mut world = World::prepare().await?;
    let told = tokio::select! {
        told = story::tell(&mut world, keep) => told,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    if told.is_err() {
        world.print_log();
    }
    if told.is_ok() && keep {
        world.print_how_to_look();
        let _ = tokio::signal::ctrl_c().await;
    }
    world.stop().await;
    told
}
