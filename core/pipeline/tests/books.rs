//! The books balance, whatever happens: under random schedules of slow, failing, hanging, panicking
//! and closing components, each the same for the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use tapetum_model::{Batch, Origin, Payload, Records, SpanId};
use tapetum_pipeline::{Answer, Books, Engine, Flush, Full, Kind, Output, Report, Tally};
use tapetum_testkit::{
    Asker, Event, Graph, Random, Sink, Source, Step, Work, contract, options, sample,
};
use tokio::time::{sleep, timeout};

const SEEDS: u64 = 400;
const STEPS: u64 = 60;

/// A graph of components that do as they like.
struct World {
    random: Random,
    sources: Vec<Source>,
    works: Vec<Work>,
    sinks: Vec<Sink>,
    asker: Option<Asker>,
    pipelines: Vec<Pipe>,
    /// Rows made so far: each has an id of its own.
    rows: u64,
}

/// Which sources, processors and sinks a pipeline joins.
struct Pipe {
    name: String,
    from: Vec<usize>,
    through: Vec<usize>,
    to: Vec<usize>,
    asked: bool,
}

#[test]
fn the_books_balance_under_any_schedule() {
    let mut total = Tally::default();
    for seed in 0..SEEDS {
        let report = run(seed);
        for book in &report.books.0 {
            let tally = &book.tally;
            total.out += tally.out;
            total.rejected += tally.rejected;
            total.refused += tally.refused;
            total.dropped += tally.dropped;
            total.filtered += tally.filtered;
            total.absorbed += tally.absorbed;
            total.made += tally.made;
        }
    }
    // The schedules are worth nothing if they do not come by everywhere.
    let Tally {
        out,
        rejected,
        refused,
        dropped,
        filtered,
        absorbed,
        made,
        ..
    } = total;
    for count in [out, rejected, refused, dropped, filtered, absorbed, made] {
        assert!(count > 1000, "{total:?}");
    }
}

#[test]
fn a_schedule_is_the_same_for_the_same_seed() {
    for seed in 0..20 {
        assert_eq!(run(seed).books, run(seed).books, "seed {seed}");
    }
}

fn run(seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime needs no more than this");
    runtime.block_on(async {
        let mut world = World::new(seed);
        let running = Engine::start(world.graph().spec(), options(seed))
            .await
            .expect("every part of the graph is used");
        for _ in 0..STEPS {
            world.step().await;
            balanced(seed, &running.books());
        }
        contract::books_are_in(&running.metrics(), &format!("seed {seed}"));
        let report = running.stop().await;
        world.judge(seed, &report);
        report
    })
}

fn balanced(seed: u64, books: &Books) {
    for book in &books.0 {
        assert!(book.tally.balances(), "seed {seed}: {book:?}");
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let sinks = 1 + random.below(3) as usize;
        let mut world = Self {
            sources: (0..1 + random.below(3))
                .map(|_| Source::default())
                .collect(),
            works: (0..random.below(4))
                .map(|_| work(random.number()))
                .collect(),
            sinks: (0..sinks).map(|_| sink(&mut random)).collect(),
            asker: random.once_in(2).then(Asker::default),
            pipelines: Vec::new(),
            random,
            rows: 0,
        };
        // The first pipeline joins everything, so that nothing is unused.
        let every = |n: usize| (0..n).collect::<Vec<_>>();
        world.pipelines.push(Pipe {
            name: "p0".to_owned(),
            from: every(world.sources.len()),
            through: every(world.works.len()),
            to: every(sinks),
            asked: world.asker.is_some(),
        });
        for n in 0..world.random.below(3) {
            let mut some = |of: usize| -> Vec<usize> {
                (0..of).filter(|_| !world.random.once_in(3)).collect()
            };
            let (mut from, through, mut to) = (
                some(world.sources.len()),
                some(world.works.len()),
                some(sinks),
            );
            from.is_empty().then(|| from.push(0));
            to.is_empty().then(|| to.push(0));
            world.pipelines.push(Pipe {
                name: format!("p{}", n + 1),
                from,
                through,
                to,
                asked: false,
            });
        }
        world
    }

    fn graph(&mut self) -> Graph {
        let mut graph = Graph::default();
        for (at, source) in self.sources.iter().enumerate() {
            graph = graph.source(&format!("s{at}"), source);
        }
        for (at, work) in self.works.iter().enumerate() {
            graph = graph.work(&format!("w{at}"), work);
        }
        for (at, sink) in self.sinks.iter().enumerate() {
            let alone = self
                .pipelines
                .iter()
                .all(|pipe| !pipe.to.contains(&at) || (pipe.to.len() == 1 && !pipe.asked));
            let mut policies = vec![
                None,
                Some(Full::Refuse),
                Some(Full::DropOldest),
                Some(Full::DropNewest),
            ];
            alone.then(|| policies.push(Some(Full::Block)));
            let size = 200 + self.random.below(20_000);
            graph = graph
                .sink(&format!("x{at}"), sink)
                .queue(size, self.random.one_of(&policies))
                .give_up(Duration::from_secs(self.random.below(120)));
        }
        if let Some(asker) = &self.asker {
            graph = graph.asker("asker", asker);
        }
        for pipe in &self.pipelines {
            let names = |letter: char, ids: &[usize]| -> Vec<String> {
                ids.iter().map(|id| format!("{letter}{id}")).collect()
            };
            let mut to = names('x', &pipe.to);
            pipe.asked.then(|| to.push("asker".to_owned()));
            let all = [names('s', &pipe.from), names('w', &pipe.through), to];
            let [from, through, to] = all
                .each_ref()
                .map(|names| -> Vec<&str> { names.iter().map(String::as_str).collect() });
            graph = graph.pipeline(&pipe.name, &from, &through, &to);
        }
        graph
    }

    async fn step(&mut self) {
        let at = self.random.below(self.sources.len() as u64) as usize;
        match self.random.below(40) {
            0 => self.sources[at].panic().await,
            1 => self.sources[at].fail().await,
            2 if self.random.once_in(8) => self.sources[at].end().await,
            2 if self.random.once_in(8) => self.sources[at].hang().await,
            3 => {
                let sink = self.random.below(self.sinks.len() as u64) as usize;
                self.sinks[sink].panic_at_encode();
            }
            4..8 => {
                if let Some(asker) = &self.asker {
                    let _ = timeout(Duration::from_secs(5), asker.collect()).await;
                }
            }
            8..14 => sleep(Duration::from_millis(self.random.below(20_000))).await,
            _ => self.send(at).await,
        }
    }

    /// Sends a batch; one that is refused is sent again, as a peer would.
    async fn send(&mut self, at: usize) {
        let items = self.random.below(40);
        let rows = (self.rows..self.rows + items)
            .map(sample::connection)
            .collect();
        self.rows += items;
        let batch = Batch {
            origin: self
                .random
                .one_of(&[Origin::Kernel, Origin::Peer, Origin::Flush]),
            ..sample::batch(rows)
        };
        for _ in 0..3 {
            let sent = timeout(Duration::from_secs(3), self.sources[at].send(batch.clone()));
            match sent.await {
                Ok(Some(Answer::Refused { after })) => sleep(after).await,
                _ => return,
            }
        }
    }

    fn judge(&self, seed: u64, report: &Report) {
        balanced(seed, &report.books);
        let book = |kind, id: &str, pipeline| -> Tally {
            *report
                .books
                .of(kind, id, pipeline)
                .expect("every component has a book")
        };
        for line in &report.books.0 {
            assert_eq!(line.tally.held, 0, "seed {seed}: {line:?}");
        }
        let mut flows = vec![0; self.sinks.len()];
        for pipe in &self.pipelines {
            let pipeline = Some(pipe.name.as_str());
            let mut flow = 0;
            for from in &pipe.from {
                let edge = book(Kind::Receiver, &format!("s{from}"), pipeline);
                let (handed, answered) = self.sources[*from].handed();
                assert!(edge.taken <= handed, "seed {seed}: {edge:?} of {handed}");
                assert!(
                    edge.taken >= answered,
                    "seed {seed}: {edge:?} of {answered}"
                );
                flow += edge.out;
            }
            for through in &pipe.through {
                let stage = book(Kind::Processor, &format!("w{through}"), pipeline);
                assert_eq!(
                    stage.taken, flow,
                    "seed {seed}: what one gives the next takes"
                );
                flow = stage.out;
            }
            pipe.to.iter().for_each(|to| flows[*to] += flow);
        }
        for (at, sink) in self.sinks.iter().enumerate() {
            let exporter = book(Kind::Exporter, &format!("x{at}"), None);
            assert_eq!(
                exporter.out,
                sink.net_items(),
                "seed {seed}: what is out is there"
            );
            // What a scrape gives goes to the asker only.
            let asked = self
                .pipelines
                .iter()
                .any(|pipe| pipe.asked && pipe.to.contains(&at));
            assert!(
                exporter.taken == flows[at] || asked && exporter.taken < flows[at],
                "seed {seed}: x{at} was given {} and took {exporter:?}",
                flows[at]
            );
            self.judge_copies(seed, at, &sink.spans());
        }
    }

    /// No row comes to a sink more often than there are ways to it.
    fn judge_copies(&self, seed: u64, sink: usize, spans: &[SpanId]) {
        let ways = self
            .pipelines
            .iter()
            .filter(|pipe| pipe.to.contains(&sink))
            .count();
        let mut copies: BTreeMap<SpanId, usize> = BTreeMap::new();
        for span in spans.iter().filter(|span| **span != SpanId::default()) {
            *copies.entry(*span).or_default() += 1;
        }
        let most = copies.values().max().copied().unwrap_or_default();
        assert!(
            most <= ways,
            "seed {seed}: x{sink} got a row {most} times by {ways} ways"
        );
    }
}

fn sink(random: &mut Random) -> Sink {
    let sink = Sink::of_items(8 + random.below(100) as usize);
    let seconds = |n| Duration::from_secs(n);
    let choices = [
        Step::Take,
        Step::Take,
        Step::TakeBut(random.below(20)),
        Step::Slow(seconds(random.below(10))),
        Step::Slow(seconds(31)),
        Step::Later(None),
        Step::Later(Some(seconds(random.below(60)))),
        Step::Never,
        Step::Hang,
        Step::Panic,
    ];
    sink.next((0..random.below(30)).map(|_| random.one_of(&choices)));
    sink.always(random.one_of(&choices));
    sink
}

/// A processor that passes, leaves out, holds, absorbs or splits, and panics now and then.
fn work(seed: u64) -> Work {
    let mut random = Random::new(seed);
    let every = random.one_of(&[None, Some(Duration::from_secs(1 + random.clone().below(9)))]);
    let habit = random.below(5);
    let clumsy = random.once_in(2);
    Work::each(every, move || {
        let mut random = Random::new(random.number());
        let mut held: Vec<Batch> = Vec::new();
        let mut absorbed = 0;
        move |event, out: &mut Output| {
            assert!(!(clumsy && random.once_in(12)), "clumsy");
            match event {
                Event::Batch(batch, _) => match habit {
                    0 => out.send(batch),
                    1 => leave_out(batch, out),
                    2 => held.push(batch),
                    3 => {
                        absorbed += batch.items();
                        out.absorbed += batch.items();
                    }
                    _ => {
                        out.made += batch.items();
                        let copy = points(batch.items());
                        out.send(batch);
                        out.send(copy);
                    }
                },
                Event::Flush(why, _) => {
                    if why != Flush::Scrape {
                        held.drain(..).for_each(|batch| out.send(batch));
                    }
                    if absorbed > 0 {
                        out.made += 3;
                        out.send(points(3));
                    }
                }
            }
        }
    })
}

fn leave_out(mut batch: Batch, out: &mut Output) {
    if let Payload::Records(Records::Connections(rows)) = &mut batch.payload {
        let before = rows.len();
        let mut even = std::mem::take(rows).into_vec();
        even.retain(|row| row.span.0[0] % 2 == 0);
        *rows = even.into();
        out.filter("odd", (before - rows.len()) as u64);
        if rows.is_empty() {
            return;
        }
    }
    out.send(batch);
}

/// Items without an id, as metric points are.
fn points(items: u64) -> Batch {
    let mut row = sample::connection(0);
    row.span = SpanId::default();
    let batch = sample::batch(vec![row; items as usize]);
    Batch {
        origin: Origin::Flush,
        ..batch
    }
}
