//! Lives of processes over one disk, under a seeded schedule: slow, failing and hanging backends, kills,
//! stops, starts, disks that fail. Each is the same for the same seed.

use std::collections::BTreeMap;
use std::io;

use tapetum_testkit::Random;

use super::*;

const SEEDS: u64 = 150;
const STEPS: u64 = 60;

/// What may happen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Kills: nothing that was acknowledged may be missing.
    Kills,
    /// A disk that fails or is damaged: what is missing must be counted.
    Faults,
}

/// What is known at the end of all lives.
#[derive(Default)]
struct Sum {
    lost: u64,
    kills: u64,
    recovered: u64,
    spilled: bool,
}

#[test]
fn what_was_acknowledged_arrives_whatever_is_killed() {
    let mut sum = Sum::default();
    for seed in 0..SEEDS {
        run(seed, Kind::Kills, &mut sum);
    }
    // The schedules are worth nothing if they do not come by everywhere.
    assert!(sum.kills > SEEDS && sum.recovered > 1000 && sum.spilled);
}

#[test]
fn what_is_missing_is_counted_whatever_the_disk_does() {
    let mut sum = Sum::default();
    for seed in 0..SEEDS {
        run(seed, Kind::Faults, &mut sum);
    }
    assert!(sum.lost > 100 && sum.recovered > 1000, "{}", sum.recovered);
}

#[test]
fn a_schedule_over_a_disk_is_the_same_for_the_same_seed() {
    for seed in 0..10 {
        let once = || {
            let mut sum = Sum::default();
            let world = run(seed, Kind::Kills, &mut sum);
            (
                world.sink.spans(),
                sum.kills,
                sum.recovered,
                world.disk.files(),
            )
        };
        assert_eq!(once(), once(), "seed {seed}");
    }
}

fn run(seed: u64, kind: Kind, sum: &mut Sum) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime needs no more than this");
    runtime.block_on(simulate(seed, kind, sum))
}

async fn simulate(seed: u64, kind: Kind, sum: &mut Sum) -> World {
    let mut random = Random::new(seed);
    let persist = kind == Kind::Kills || random.once_in(2);
    let full = match persist {
        true => random.one_of(&[None, Some(Full::Refuse)]),
        false => Some(Full::Spill),
    };
    let (size, disk) = (
        40_000 + random.below(400_000),
        100_000 + random.below(1_000_000),
    );
    let mut world = World::new(size, full, disk, persist);
    world.queue.4 = random.one_of(&[Durable::Never, Durable::Second, Durable::Always]);
    backend(&world, &mut random);
    let mut life = world.start().await;
    let (mut kills, mut lost) = (0, 0);
    let mut recovered = 0;
    for _ in 0..STEPS {
        match random.below(30) {
            0 if kind == Kind::Kills => {
                kills += 1;
                life.kill(&world.disk).await;
                life = world.start().await;
            }
            1 => {
                let held = world.end(life, &mut lost, &mut recovered).await;
                life = world.start().await;
                if kind == Kind::Kills {
                    sleep(Duration::from_millis(1)).await;
                    let found = life.metric(Metric::QueueDiskRecovered);
                    assert_eq!(found, held as i64, "seed {seed}: what is kept is found");
                }
            }
            2..4 => backend(&world, &mut random),
            4..6 if kind == Kind::Faults => trouble(&world, &mut random),
            6..14 => sleep(Duration::from_millis(random.below(5_000))).await,
            _ => {
                let items = 1 + random.below(8);
                let sent = world.send(&life, Origin::Peer, items, 1);
                let _ = timeout(Duration::from_secs(60), sent).await;
            }
        }
        life.tally();
        sum.spilled |= life.metric(Metric::QueueDiskBytes) > 2 * size as i64;
    }
    world.disk.fail(None);
    world.disk.capacity(None);
    world.sink.always(Step::Take);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(life.tally().held, 0, "seed {seed}");
    assert_eq!(
        world.end(life, &mut lost, &mut recovered).await,
        0,
        "seed {seed}"
    );
    judge(seed, kind, &world, lost, kills);
    sum.lost += lost;
    sum.recovered += recovered;
    sum.kills += kills;
    world
}

fn judge(seed: u64, kind: Kind, world: &World, lost: u64, kills: u64) {
    let mut copies: BTreeMap<SpanId, u64> = BTreeMap::new();
    for span in world.sink.spans() {
        *copies.entry(span).or_default() += 1;
    }
    let missing = world
        .taken()
        .iter()
        .filter(|one| !copies.contains_key(one))
        .count();
    match kind {
        Kind::Kills => assert_eq!((missing, lost), (0, 0), "seed {seed}"),
        Kind::Faults => assert!(missing as u64 <= lost, "seed {seed}: {missing} of {lost}"),
    }
    let most = copies.values().max().copied().unwrap_or_default();
    if kind == Kind::Kills {
        assert!(
            most <= 1 + kills,
            "seed {seed}: {most} copies after {kills} kills"
        );
    }
}

/// The backend is another from now on.
fn backend(world: &World, random: &mut Random) {
    let choices = [
        Step::Take,
        Step::Take,
        Step::Slow(Duration::from_millis(random.below(400))),
        Step::Later(None),
        Step::Later(Some(Duration::from_secs(random.below(20)))),
        Step::Hang,
    ];
    world.sink.always(random.one_of(&choices));
}

/// Something happens to the disk, or is over.
fn trouble(world: &World, random: &mut Random) {
    match random.below(5) {
        0 => world.disk.fail(Some(random.one_of(&[
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
            io::ErrorKind::PermissionDenied,
        ]))),
        1 => world
            .disk
            .capacity(Some(world.on_disk() + random.below(5_000))),
        2 => world.disk.damage(random, ".segment"),
        _ => {
            world.disk.fail(None);
            world.disk.capacity(None);
        }
    }
}

impl World {
    /// Stops a process; how many items it leaves on the disk.
    async fn end(&self, life: Life, lost: &mut u64, recovered: &mut u64) -> u64 {
        *recovered += life.metric(Metric::QueueDiskRecovered).unsigned_abs();
        // What a damaged head hides is known in bytes only.
        *lost += life
            .metric(Metric::QueueDiskDamaged)
            .unsigned_abs()
            .div_ceil(1000);
        let report = life.stop().await;
        let tally = report
            .books
            .of(tapetum_pipeline::Kind::Exporter, "out", None);
        let tally = tally.expect("its line");
        *lost += tally.dropped + tally.rejected;
        let kept: u64 = report.kept.iter().map(|(_, items)| items).sum();
        assert_eq!(tally.held, kept, "{report:?}");
        kept
    }
}
