//! Two hundred reloads under load: what was accepted arrives once, and nothing grows.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use tapetum_pipeline::{Answer, Engine, GraphSpec, Kind, Running};
use tapetum_testkit::{Asker, Graph, Sink, Source, Work, options, sample};
use tokio::runtime::Handle;

use crate::{balanced, reload};

struct Cast {
    source: Source,
    works: [Work; 3],
    sinks: [Sink; 3],
    asker: Asker,
}

impl Cast {
    /// Another graph each time, each with the source before one sink at least.
    fn graph(&self, n: u64) -> GraphSpec {
        let variant = |of: u64| i64::try_from(n / of).expect("small");
        let mut graph = Graph::default()
            .source("in", &self.source)
            .sink("out", &self.sinks[0])
            .vary(Kind::Exporter, "out", variant(3));
        if n % 5 == 4 {
            graph = graph.vary(Kind::Receiver, "in", variant(1));
        }
        let mut through = vec!["first"];
        graph = graph.work("first", &self.works[0]);
        if n % 2 == 1 {
            graph = graph.work("second", &self.works[1]);
            graph = graph.vary(Kind::Processor, "second", variant(2));
            through.push("second");
        }
        let mut to = vec!["out"];
        if n % 3 == 1 {
            graph = graph.asker("asks", &self.asker);
            to.push("asks");
        }
        let mut graph = graph.pipeline("main", &["in"], &through, &to);
        if n % 4 == 2 {
            // Names that never come again.
            let id = format!("out/{n}");
            let name = format!("copy {n}");
            graph = graph
                .sink(&id, &self.sinks[1])
                .work("third", &self.works[2]);
            graph = graph.pipeline(&name, &["in"], &["third"], &[&id]);
        }
        graph.spec()
    }
}

async fn settled(running: &Running) {
    loop {
        let books = running.books();
        if books.0.iter().all(|book| book.tally.held == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_reloads_under_load() {
    let cast = Cast {
        source: Source::default(),
        works: [Work::pass(), Work::pass(), Work::pass()],
        sinks: [Sink::default(), Sink::default(), Sink::default()],
        asker: Asker::default(),
    };
    let mut running = Engine::start(cast.graph(0), options(1)).await.unwrap();
    let (mut tasks, mut files, mut series) = (0, 0, 0);
    let mut accepted = 0u64;
    for n in 1..=200 {
        let next = cast.graph(n % 200);
        let load = async {
            for _ in 0..5 {
                if cast.source.send(sample::connections(7)).await == Some(Answer::Accepted) {
                    accepted += 7;
                }
            }
        };
        tokio::join!(reload(&mut running, next), load);
        settled(&running).await;
        balanced(&running.books());
        if n == 100 {
            tasks = Handle::current().metrics().num_alive_tasks();
            files = descriptors();
            series = running.metrics().len();
        }
    }
    let now = Handle::current().metrics().num_alive_tasks();
    assert!(now <= tasks + 2, "{tasks} tasks became {now}");
    assert!(descriptors() <= files, "{files} descriptors grew");
    let now = running.metrics().len();
    assert!(now <= series * 2, "{series} series became {now}");
    let report = running.stop().await;
    balanced(&report.books);
    assert!(accepted > 500, "only {accepted} were accepted");
    assert_eq!((report.left, cast.sinks[0].items()), (vec![], accepted));
    let spans = cast.sinks[0].spans();
    let distinct: BTreeSet<_> = spans.iter().collect();
    assert_eq!(distinct.len(), 7, "the sample has seven rows");
}
