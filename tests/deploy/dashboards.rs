//! The dashboard, query by query, against two Prometheus that scrape one agent, with native histograms and without:
//! each query must give a number in both.

use std::mem;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use tapetum_lab::peer::Ending;
use tapetum_lab::traffic::{self, Plan};
use tapetum_lab::{Agent, Lab, Pipelines, Pod, Prometheus, Server};

use crate::read;

/// How long trouble is made until every panel has something to show.
const PATIENCE: Duration = Duration::from_secs(60);

struct Query {
    panel: String,
    promql: String,
}

/// Every query of every panel and variable, with Grafana's variables filled in as it does for "All".
fn queries(dashboard: &Value) -> Vec<Query> {
    let fill = |promql: &str| {
        promql
            .replace("$__rate_interval", "15s")
            .replace("$source", ".*")
            .replace("$destination", ".*")
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = panel["title"].as_str().unwrap_or_default();
        let targets = list(&panel["targets"]);
        assert!(
            panel["type"] == "row" || !targets.is_empty(),
            "{title} asks for nothing"
        );
        for target in targets {
            let promql = target["expr"].as_str().unwrap_or_default();
            queries.push(Query {
                panel: title.to_owned(),
                promql: fill(promql),
            });
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        let definition = variable["definition"].as_str().unwrap_or_default();
        let inside = definition.strip_prefix("label_values(");
        let Some((metric, label)) = inside.and_then(|rest| rest.split_once(", ")) else {
            continue;
        };
        let label = label.trim_end_matches(')');
        queries.push(Query {
            panel: format!("the variable of {label}"),
            promql: format!("group by ({label}) ({metric}{{{label}!=\"\"}})"),
        });
    }
    queries
}

/// Whether an answer has a number in it: of nothing divided by nothing there is none.
fn has_number(series: &[Value]) -> bool {
    let numbers = series.iter().filter_map(|one| one["value"][1].as_str());
    numbers
        .filter_map(|text| text.parse::<f64>().ok())
        .any(f64::is_finite)
}

/// A client and a server that have every trouble that the dashboard shows.
struct Shop {
    client: Pod,
    server: Server,
    closed: SocketAddr,
}

impl Shop {
    fn trade(&self) -> Result<()> {
        let plan = Plan {
            to: self.server.address(),
            connections: 10,
            up: 200_000,
            down: 100_000,
            at_once: 4,
            ..Plan::default()
        };
        traffic::send(&self.client, &plan)?;
        let reset = Plan {
            connections: 2,
            up: 1_000,
            down: 1_000,
            ending: Ending::Reset,
            ..plan
        };
        traffic::send(&self.client, &reset)?;
        let url = format!("http://{}/", self.closed);
        let refused = self.client.run("curl", &["-sS", "--max-time", "2", &url]);
        assert!(refused.is_err(), "nothing listens at {}", self.closed);
        Ok(())
    }
}

#[test]
fn every_query_gives_data() -> Result<()> {
    let test = "every_query_gives_data";
    let Some(mut lab) = Lab::to_judge(test, &["curl", "prometheus"])? else {
        return Ok(());
    };
    let dashboard: Value = serde_json::from_str(&read("deploy/dashboards/connections.json")?)?;
    assert!(queries(&dashboard).len() >= 20, "too few queries");

    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let (open, closed) = (lab.port(1), lab.port(2));
    let address = SocketAddr::new(server_pod.v4(), open);
    let shop = Shop {
        client,
        server: Server::start(&server_pod, address)?,
        closed: SocketAddr::new(server_pod.v4(), closed),
    };
    // From the server only: what the client sends is asked for again.
    node.on_forward(&format!("tcp dport {open} numgen random mod 100 < 3 drop"))?;
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    let target = [agent.scrape_target()];
    let mut judges = [
        (
            Prometheus::start(&node, "127.0.0.1:9090", &target)?,
            queries(&dashboard),
        ),
        (
            Prometheus::start_classic(&node, "127.0.0.1:9091", &target)?,
            queries(&dashboard),
        ),
    ];

    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        shop.trade()?;
        for (prometheus, silent) in &mut judges {
            for query in mem::take(silent) {
                if !has_number(&prometheus.query(&query.promql)?) {
                    silent.push(query);
                }
            }
        }
        if judges.iter().all(|(_, silent)| silent.is_empty()) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(500));
    }
    let silent = judges
        .iter()
        .zip(["native", "classic"])
        .flat_map(|((_, silent), kind)| {
            let line = move |query: &Query| format!("{kind}: {}: {}", query.panel, query.promql);
            silent.iter().map(line)
        });
    bail!(
        "these give no data:\n{}",
        silent.collect::<Vec<_>>().join("\n")
    );
}
