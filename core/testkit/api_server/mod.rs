//! A scripted API server of Kubernetes: lists in pages, watches with bookmarks, a history that ends,
//! and everything that can go wrong on the way, when the test says it.
//!
//! It speaks HTTP/1.1 on loopback and holds objects as JSON. It runs on threads of its own, so that it
//! can serve a program as well as a test.

mod http;
mod store;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use self::store::Store;

/// Requests that are remembered.
const REQUESTS_MAX: usize = 65_536;

/// A scripted API server; it ends when it is dropped.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// How watches are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In order, between events.
    Ended,
    /// In the middle of an event.
    Torn,
    /// With an error of this code in the stream.
    Error(u16),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    requests: VecDeque<String>,
    /// Beginnings or parts of paths, and the code that they get.
    refused: Vec<(String, u16)>,
    is_down: bool,
    delay: Duration,
    /// Grows with each cut: a watch that began before it ends.
    cuts: u64,
    cut: Option<Cut>,
    bookmarks: u64,
    /// 410 as the status of the answer, not as an event in it.
    gone_as_status: bool,
    sent_bytes: u64,
    watches: u64,
}

impl ApiServer {
    /// Starts one without objects but the namespace `kube-system`.
    ///
    /// # Panics
    /// Where loopback has no port to listen on.
    #[must_use]
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let listener = StdListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a socket as usual");
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).expect("a socket as usual")
        };
        runtime.spawn(http::listen(listener, Arc::clone(&shared)));
        let server = Self {
            address,
            shared,
            runtime: Some(runtime),
        };
        let uid = "c0ffee00-0000-4000-8000-000000000000";
        server.put(
            "/api/v1/namespaces",
            json!({"metadata": {"name": "kube-system", "uid": uid}}),
        );
        server
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes or changes an object of a resource: `/api/v1/pods`, `/apis/apps/v1/replicasets`.
    pub fn put(&self, resource: &str, object: Value) {
        self.change(|state| state.store.put(resource, object));
    }

    /// Deletes an object.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        self.change(|state| state.store.delete(resource, namespace, name));
    }

    /// Forgets the history: who wants to go on from before now gets 410.
    pub fn forget_history(&self) {
        self.change(|state| state.store.forget_history());
    }

    /// Says 410 as the status of the answer, not as an event in it: a real one does either.
    pub fn gone_as_status(&self) {
        self.change(|state| state.gone_as_status = true);
    }

    /// Sends every watch a bookmark.
    pub fn bookmark(&self) {
        self.change(|state| state.bookmarks += 1);
    }

    /// Ends every watch that runs.
    pub fn cut_watches(&self, how: Cut) {
        self.change(|state| {
            state.cuts += 1;
            state.cut = Some(how);
        });
    }

    /// Answers paths that begin so, or have such a part, with a code; 0: as usual again.
    pub fn refuse(&self, path: &str, code: u16) {
        self.change(|state| {
            state.refused.retain(|(refused, _)| refused != path);
            if code != 0 {
                state.refused.push((path.to_owned(), code));
            }
        });
    }

    /// Goes away: connections end and nobody answers; or comes back.
    pub fn down(&self, is_down: bool) {
        self.change(|state| {
            state.is_down = is_down;
            state.cuts += u64::from(is_down);
            state.cut = Some(Cut::Torn);
        });
    }

    /// Lets every answer wait.
    pub fn delay(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// The paths that were asked for so far, with their queries.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.iter().cloned().collect()
    }

    /// How many requests began so.
    #[must_use]
    pub fn asked(&self, beginning: &str) -> usize {
        let state = self.shared.lock();
        let requests = state.requests.iter();
        requests.filter(|path| path.starts_with(beginning)).count()
    }

    /// Bytes that were sent so far.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.shared.lock().sent_bytes
    }

    /// Watches that are open.
    #[must_use]
    pub fn watches(&self) -> u64 {
        self.shared.lock().watches
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.send_modify(|n| *n += 1);
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, path: &str) {
        if self.requests.len() == REQUESTS_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back(path.to_owned());
    }
}
