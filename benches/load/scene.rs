//! Where it is measured: a client, a node that translates a virtual IP and masquerades, a server behind
//! another node, and on the client's node an agent with a backend that says yes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapetum_lab::{Iperf, Lab, Node, Pod, Process, missing};

use crate::agent::{Agent, Spans, own};
use crate::clock::cpu_time;

/// What the client asks for in vain without the node.
pub(crate) struct Scene {
    pub(crate) near: Node,
    client: Pod,
    pub(crate) server: Pod,
    /// The virtual address of the server of short connections, and of iperf3.
    short: SocketAddr,
    iperf: SocketAddr,
    serving: Vec<Process>,
    _lab: Lab,
}

/// How short connections went.
pub(crate) struct Short {
    /// So many a second.
    pub(crate) rate: f64,
    /// What client and server used of the processors, packets and interrupts on their way included.
    pub(crate) cpu: Duration,
}

impl Scene {
    pub(crate) fn build() -> Result<Scene> {
        if let Some(reason) = missing(&["curl", "iperf3"]) {
            anyhow::bail!("the load figures: {reason}");
        }
        let mut lab = Lab::new()?;
        let (near, far) = (lab.node("near")?, lab.node("far")?);
        let (client, server) = (near.pod("client")?, far.pod("server")?);
        near.masquerade()?;
        let mut asked = Vec::new();
        for port in [lab.port(1), lab.port(2)] {
            let virtual_address = SocketAddr::new(lab.virtual_v4(1), port);
            near.publish(virtual_address, &[SocketAddr::new(server.v4(), port)])?;
            asked.push(virtual_address);
        }
        // Ports are free for the next connection soon: 40 000 in a row would use them up.
        for place in [&*client, &*server] {
            place.sysctl(&[
                "net/ipv4/ip_local_port_range=1024 65000",
                "net/ipv4/tcp_tw_reuse=1",
            ])?;
        }
        for node in [&near, &far] {
            // Where connection tracking is not active there is no such setting, and no need.
            let _ = node.sysctl(&["net/netfilter/nf_conntrack_tcp_timeout_time_wait=1"]);
        }
        let here = SocketAddr::new(server.v4(), lab.port(1)).to_string();
        let serving = vec![
            own(&server, &["serve", &here])?,
            own(&near, &["sink", "127.0.0.1:4317"])?,
        ];
        Ok(Scene {
            near,
            client,
            server,
            short: asked[0],
            iperf: asked[1],
            serving,
            _lab: lab,
        })
    }

    pub(crate) fn agent(&self, spans: Spans) -> Result<Agent> {
        Agent::start(&self.near, spans)
    }

    /// The port of the short connections, which no other lab's have.
    pub(crate) fn short_port(&self) -> u16 {
        self.short.port()
    }

    /// Makes so many short connections.
    pub(crate) fn short(&self, connections: u32) -> Result<Short> {
        let program = std::env::current_exe()?;
        let program = program.to_str().context("a path that is no text")?;
        let (to, count) = (self.short.to_string(), connections.to_string());
        let serving = self.serving[0].pid();
        let before = cpu_time(serving)?;
        let said = self.client.run(program, &["send", &to, &count])?;
        let served = cpu_time(serving)? - before;
        let (taken, sent) = said.trim().split_once(' ').context("no times")?;
        Ok(Short {
            rate: f64::from(connections) / taken.parse::<f64>()?,
            cpu: served + Duration::from_secs_f64(sent.parse()?),
        })
    }

    /// Runs iperf3: gigabits a second.
    pub(crate) fn iperf(&self, seconds: u32) -> Result<f64> {
        let _server = Iperf::serve(&self.server, self.iperf.port())?;
        let run = Iperf::run(&self.client, self.iperf, &["--time", &seconds.to_string()])?;
        Ok(run.bits_per_second / 1e9)
    }
}
