//! What happens at the limits: server ports of a pair, series of the budget.

use super::*;

#[test]
fn at_most_sixteen_ports_a_pair() {
    let mut bench = Bench::new(1_000, false);
    let (web, api) = (entity("web"), entity("api"));
    for port in 1..=100 {
        let mut row = connection(&web, &api, port, 1);
        row.delta.bytes_sent = 1;
        bench.take(vec![row]);
    }
    let points = bench.flush(Flush::Timer);
    let ports: HashSet<_> = points
        .iter()
        .map(|point| said(point)["server.port"].clone())
        .collect();
    assert_eq!(ports.len(), limit::PORTS_MAX + 1);
    assert!(ports.contains(OTHER));
    assert_eq!(sum_of(&points, Metric::FlowBytes), 100);
    assert_eq!(bench.folded("ports"), 84);

    // When the series have ended there is room for other ports.
    bench.seconds += 3_600;
    bench.flush(Flush::Timer);
    let mut row = connection(&web, &api, 99, 1);
    row.delta.bytes_sent = 1;
    bench.take(vec![row]);
    assert_eq!(said(&bench.flush(Flush::Timer)[0])["server.port"], "99");
}

#[test]
fn beyond_the_budget_the_ends_fold_and_the_rest_stays() {
    let mut bench = Bench::new(16, false);
    let api = entity("api");
    let rows = (0..200).map(|n| {
        let mut row = connection(&entity(&format!("web-{n}")), &api, 80, n);
        row.flags = Flags::FAILED;
        row.error = Some(ErrorType::Timeout);
        row
    });
    bench.take(rows.collect());
    let points = bench.flush(Flush::Timer);
    assert_eq!(points.len(), 17);
    assert_eq!(sum_of(&points, Metric::ConnectionsFailed), 200);
    assert_eq!(bench.folded("series"), 184);
    let rest = points
        .iter()
        .map(said)
        .find(|said| said["source.service.name"] == OTHER)
        .unwrap();
    assert_eq!(rest["destination.service.name"], OTHER);
    assert_eq!(rest["error.type"], "timeout");
    assert_eq!(rest["network.io.direction"], "transmit");
    assert_eq!(rest["server.port"], OTHER);
}

#[test]
fn more_ways_than_are_remembered_lose_nothing() {
    let mut bench = Bench::new(100, false);
    let api = entity("api");
    let ways = way::WAYS_MAX as i64 + 100;
    // All of these are called the same, but only who looks at their names knows.
    let clients: Vec<_> = (0..ways).map(|_| entity("web")).collect();
    for _ in 0..2 {
        let rows = clients.iter().map(|client| {
            let mut row = connection(client, &api, 80, 1);
            row.delta.bytes_sent = 1;
            row
        });
        bench.take(rows.collect());
    }
    let points = bench.flush(Flush::Timer);
    assert_eq!(sum_of(&points, Metric::FlowBytes), 2 * ways);
}

#[test]
fn one_pair_of_ends_has_a_series_for_each_dimension() {
    let mut bench = Bench::new(100, false);
    let (web, api) = (entity("web"), entity("api"));
    let row = |port, error| {
        let mut row = connection(&web, &api, port, 1);
        row.flags = Flags::FAILED;
        row.error = Some(error);
        row
    };
    bench.take(vec![
        row(80, ErrorType::Timeout),
        row(80, ErrorType::Reset),
        row(81, ErrorType::Reset),
        row(80, ErrorType::Timeout),
    ]);
    let points = bench.flush(Flush::Timer);
    let mut failed: Vec<_> = points
        .iter()
        .filter(|point| point.metric == Metric::ConnectionsFailed)
        .map(|point| {
            let said = said(point);
            let sum = sum_of(std::slice::from_ref(point), Metric::ConnectionsFailed);
            (said["server.port"].clone(), said["error.type"].clone(), sum)
        })
        .collect();
    failed.sort();
    let of = |port: &str, error: &str, sum| (port.to_owned(), error.to_owned(), sum);
    let all = [
        of("80", "reset", 1),
        of("80", "timeout", 2),
        of("81", "reset", 1),
    ];
    assert_eq!(failed, all);
}
