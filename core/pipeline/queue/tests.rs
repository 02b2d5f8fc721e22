//! The store alone: bounds, policies, promises.

use tapetum_model::Signal;

use super::*;

fn waiting(bytes: u64) -> Waiting {
    let bytes = bytes - OVERHEAD_BYTES;
    let message = Encoded {
        signal: Signal::Points,
        items: bytes,
        bytes: vec![0; bytes as usize].into(),
    };
    Waiting::new(message, Loss::default(), Receipt::default())
}

/// What is stored, by size.
fn sizes(queue: &Queue) -> Vec<u64> {
    let state = queue.lock();
    let costs = state
        .waiting
        .iter()
        .map(|waiting| waiting.message.cost_bytes());
    let costs: Vec<u64> = costs.collect();
    assert_eq!(state.bytes, costs.iter().sum::<u64>());
    assert!(state.bytes <= queue.size_bytes);
    costs
}

#[test]
fn the_oldest_make_room_for_the_new_but_not_the_one_that_is_being_sent() {
    let queue = Queue::new(10_000, None);
    for size in [3000, 3010, 3020] {
        let pushed = queue.push(waiting(size), Full::DropOldest, false);
        assert!(pushed.evicted.is_empty() && pushed.returned.is_none());
    }
    let pushed = queue.push(waiting(3030), Full::DropOldest, false);
    assert_eq!(pushed.evicted.len(), 1);
    assert_eq!(sizes(&queue), [3010, 3020, 3030]);

    queue.lock().sending = true;
    let pushed = queue.push(waiting(6000), Full::DropOldest, false);
    assert_eq!(pushed.evicted.len(), 2);
    assert_eq!(sizes(&queue), [3010, 6000]);
    let pushed = queue.push(waiting(8000), Full::DropOldest, false);
    assert!(pushed.returned.is_some(), "not even without the rest");
    assert_eq!(queue.level(), Pressure::Full);
}

#[test]
fn what_never_fits_costs_nothing_that_is_there() {
    let queue = Queue::new(10_000, None);
    queue.push(waiting(9000), Full::DropOldest, false);
    let pushed = queue.push(waiting(10_010), Full::DropOldest, false);
    assert!(pushed.returned.is_some() && pushed.evicted.is_empty());
    assert_eq!(sizes(&queue), [9000]);
}

#[test]
fn the_newest_is_dropped_where_that_is_the_policy() {
    let queue = Queue::new(10_000, None);
    queue.push(waiting(6000), Full::DropNewest, false);
    let pushed = queue.push(waiting(4010), Full::DropNewest, false);
    assert!(pushed.returned.is_some() && pushed.evicted.is_empty());
    assert_eq!(sizes(&queue), [6000]);
}

#[test]
fn a_promise_keeps_room_until_it_is_used_or_given_back() {
    let queue = Queue::new(10_000, None);
    assert!(queue.reserve(6000, 0));
    assert!(!queue.reserve(4010, 0));
    assert!(queue.reserve(4000, 0));
    let pushed = queue.push(waiting(1000), Full::DropOldest, false);
    assert!(pushed.returned.is_some(), "promised to others");
    queue.release(4000);
    assert!(
        queue
            .push(waiting(1000), Full::DropOldest, false)
            .returned
            .is_none()
    );
    for _ in 0..2 {
        let pushed = queue.push(waiting(3000), Full::Refuse, true);
        assert!(pushed.returned.is_none());
    }
    assert_eq!(
        (sizes(&queue), queue.lock().reserved),
        (vec![1000, 3000, 3000], 0)
    );
    assert!(!queue.reserve(3010, 0), "an exchange must fit too");
    assert!(queue.reserve(3000, 0) && !queue.reserve(3010, 3000));
    assert_eq!(queue.lock().reserved, 0, "and gives the estimate back");
}

#[test]
fn what_is_larger_than_the_queue_is_let_into_an_empty_one_only() {
    let queue = Queue::new(10_000, None);
    assert!(queue.reserve(15_000, 0));
    assert!(!queue.reserve(10, 0));
    for _ in 0..2 {
        // What was let in is kept: its sender was told so.
        let pushed = queue.push(waiting(7500), Full::Refuse, true);
        assert!(pushed.returned.is_none());
    }
    assert_eq!((queue.bytes(), queue.level()), (15_000, Pressure::Full));
    assert!(!queue.reserve(15_000, 0));
    assert_eq!(queue.lock().reserved, 0);
}

#[test]
fn empty_messages_are_bounded_too() {
    let queue = Queue::new(10 * OVERHEAD_BYTES, None);
    for _ in 0..100 {
        queue.push(waiting(OVERHEAD_BYTES), Full::DropNewest, false);
    }
    assert_eq!(sizes(&queue).len(), 10);
}

#[test]
fn the_level_says_half_full_and_full() {
    let queue = Queue::new(10_000, None);
    let mut levels = vec![queue.level()];
    for size in [5000, 1000, 3000] {
        queue.push(waiting(size), Full::Refuse, false);
        levels.push(queue.level());
    }
    assert_eq!(
        levels,
        [
            Pressure::None,
            Pressure::None,
            Pressure::Some,
            Pressure::Full
        ]
    );
    queue.lock().sending = true;
    queue.finish();
    assert_eq!(queue.level(), Pressure::None);
    queue.push(waiting(4000), Full::Refuse, false);
    queue.push(waiting(4000), Full::Refuse, false);
    assert_eq!(
        queue.level(),
        Pressure::Full,
        "full is also: the last did not fit"
    );
}

#[tokio::test(start_paused = true)]
async fn the_message_that_is_sent_stays_until_its_outcome_and_close_empties() {
    let queue = Queue::new(10_000, None);
    queue.push(waiting(1000), Full::Refuse, false);
    queue.push(waiting(2000), Full::Refuse, false);
    for _ in 0..2 {
        let head = queue.next().await.unwrap();
        assert_eq!((head.cost_bytes(), sizes(&queue).len()), (1000, 2));
    }
    assert_eq!(queue.finish().unwrap().message.cost_bytes(), 1000);
    assert!(queue.finish().is_none(), "nothing is being sent");
    queue.close();
    assert_eq!(queue.next().await.unwrap().cost_bytes(), 2000);
    queue.finish();
    assert!(queue.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn room_is_waited_for_unless_it_never_comes() {
    let queue = Arc::new(Queue::new(10_000, None));
    queue.push(waiting(7000), Full::Block, false);
    queue.room(3000).await;
    queue.room(10_010).await;
    let waits = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.room(4000).await }
    });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    assert_eq!(queue.next().await.unwrap().cost_bytes(), 7000);
    queue.finish();
    waits.await.unwrap();
    queue.push(waiting(7000), Full::Block, false);
    queue.close();
    queue.room(4000).await;
}
