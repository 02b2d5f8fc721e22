//! Accepts connections, never more than there may be, and ends them in order at a stop.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tapetum_pipeline::{Health, Seldom, Stop};
use tapetum_tls::Server;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::config::Limits;
use super::intake::Intake;
use super::stream::{self, Stream, Transport};
use super::telemetry::TurnedAway;
use super::{http1, http2};

/// An address that is listened on.
pub(super) struct Door {
    pub(super) socket: TcpListener,
    pub(super) speaks: Speaks,
}

/// Which of the two ways of OTLP are taken at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Grpc,
    Http,
    Both,
}

/// After an accept that failed (no descriptors left, as a rule) the next one waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is under way at a stop may take so long; whoever is cut off was told nothing and sends again.
const STOP_TIME: Duration = Duration::from_secs(3);

/// What every connection needs.
#[derive(Clone)]
struct Host {
    tls: Option<Arc<Server>>,
    health: Health,
    /// Handshakes of TLS that failed.
    failed: Arc<Seldom>,
    limits: Limits,
    intake: Arc<Intake>,
    stop: Stop,
}

impl Speaks {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Both => "grpc and http",
        }
    }

    pub(super) fn grpc(self) -> bool {
        self != Self::Http
    }

    pub(super) fn http(self) -> bool {
        self != Self::Grpc
    }
}

/// Serves until `stop`, and then until what is under way is answered.
pub(super) async fn serve(
    doors: Vec<Door>,
    (tls, health): (Option<Arc<Server>>, Health),
    limits: Limits,
    intake: Arc<Intake>,
    mut stop: Stop,
) {
    let host = Host {
        tls,
        health,
        failed: Arc::default(),
        limits,
        intake,
        stop: stop.clone(),
    };
    let full = Seldom::default();
    let mut turn = 0;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.wait() => break,
            Some(_) = connections.join_next() => {}
            (tcp, speaks) = accept(&doors, turn) => {
                turn += 1;
                if connections.len() < limits.connections {
                    connections.spawn(host.clone().serve(tcp, speaks, connections.len() as u32));
                } else {
                    host.intake.counts.turned_away(TurnedAway::Full);
                    if let Some(left_out) = full.now() {
                        warn!(left_out, "a connection is closed, there are {} already: raise `max_connections`", limits.connections);
                    }
                }
            }
        }
        let open = i64::try_from(connections.len()).unwrap_or(i64::MAX);
        host.intake.counts.connections.set(open);
    }
    drop(doors);
    let ended = timeout(STOP_TIME, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        debug!(connections = connections.len(), "are cut off");
    }
    host.intake.counts.connections.set(0);
}

/// The next connection at any of the doors: who knocks much at one does not keep the others closed.
async fn accept(doors: &[Door], first: usize) -> (TcpStream, Speaks) {
    loop {
        let accepted = future::poll_fn(|cx| {
            for turn in 0..doors.len() {
                let door = &doors[(first + turn) % doors.len()];
                if let std::task::Poll::Ready(accepted) = door.socket.poll_accept(cx) {
                    return std::task::Poll::Ready(accepted.map(|(tcp, _)| (tcp, door.speaks)));
                }
            }
            std::task::Poll::Pending
        });
        match accepted.await {
            Ok(accepted) => return accepted,
            Err(why) => {
                debug!("cannot accept a connection: {why}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Host {
    async fn serve(self, tcp: TcpStream, speaks: Speaks, number: u32) {
        let Ok(peer) = stream::peer(&tcp) else {
            return; // It is gone already.
        };
        let _ = tcp.set_nodelay(true);
        let opening = Stream::open(tcp, self.tls.as_deref(), peer, &self.failed);
        let opened = timeout(self.limits.timeout, opening).await;
        if let Some(tls) = &self.tls {
            self.health.note(tls.trouble());
        }
        let (stream, transport) = match opened.unwrap_or(Err(TurnedAway::Protocol)) {
            Ok(opened) => opened,
            Err(why) => return self.intake.counts.turned_away(why),
        };
        let Self {
            limits,
            intake,
            stop,
            ..
        } = self;
        match transport {
            Transport::Http2 => {
                let connection = http2::Connection::new(intake, limits, speaks, peer, number);
                connection.serve(stream, stop).await;
            }
            Transport::Http1 => http1::serve(stream, intake, limits, speaks, peer, stop).await,
        }
    }
}
