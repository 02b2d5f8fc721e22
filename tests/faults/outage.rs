//! Backends that fail, hang or are dead while the load goes on.

use tokio::time::sleep;

use crate::agent::Place;
use crate::load::Load;
use crate::outage;
use crate::sink::{Mood, Sink};

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_fails_or_hangs_for_a_while_costs_nothing() {
    for mood in [Mood::Fails, Mood::Hangs] {
        let sink = Sink::start().await;
        let place = Place::new(&[sink.address], None);
        let agent = place.start().await;
        let load = Load::start(place.grpc);
        load.more(1_000).await;
        sink.is(mood);
        sleep(outage()).await;
        sink.is(Mood::Takes);
        load.more(1_000).await;
        let acknowledged = load.end().await;
        sink.all(&acknowledged).await;
        agent.settle(&["otlp"]).await;
        assert_eq!(sink.twice(), 0, "{mood:?}");
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_backends_that_is_dead_costs_the_other_nothing() {
    let (well, dead) = (Sink::start().await, Sink::start().await);
    dead.is(Mood::Hangs);
    let place = Place::new(&[well.address, dead.address], None);
    let agent = place.start().await;
    let load = Load::start(place.grpc);
    load.more(2_000).await;
    sleep(outage()).await;
    let acknowledged = load.end().await;
    // All of it is at the one while the other has not said a word.
    well.all(&acknowledged).await;
    assert_eq!(dead.has(&acknowledged), 0);
    dead.is(Mood::Takes);
    dead.all(&acknowledged).await;
    agent.settle(&["otlp", "otlp/second"]).await;
    agent.stop().await;
}
