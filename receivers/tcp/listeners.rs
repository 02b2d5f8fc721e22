//! Who listens where on this kernel: tells the server of an adopted connection, and names the far end of
//! a connect that nobody accepted, and the process where the kernel does not hand it on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tapetum_model::{Entity, Process};

/// The listeners of all network namespaces, as many as the probe tells.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    by_cookie: HashMap<u64, Listener>,
    by_port: HashMap<(u64, u16), Vec<u64>>,
}

#[derive(Debug)]
struct Listener {
    netns: u64,
    address: SocketAddr,
    entity: Arc<Entity>,
    heir: Option<Arc<Process>>,
    seen_ns: u64,
    sweep: u32,
}

/// Who listens: `heir` is the process of what is accepted here, if the kernel does not tell it there.
pub(super) struct Who {
    pub(super) entity: Arc<Entity>,
    pub(super) heir: Option<Arc<Process>>,
}

/// The probe tells no more than this; here for the day when it does.
const MOST: usize = 8_192;
/// What they can take, for the sum that start-up prints.
pub(super) const BOUND_BYTES: u64 = 256 * MOST as u64;

impl Listeners {
    /// Seen again, where it was: `false` if it is new, or listens elsewhere now.
    pub(super) fn again(
        &mut self,
        cookie: u64,
        at: (u64, SocketAddr),
        seen_ns: u64,
        sweep: u32,
    ) -> bool {
        match self.by_cookie.get_mut(&cookie) {
            Some(known) if (known.netns, known.address) == at => {
                (known.seen_ns, known.sweep) = (seen_ns, sweep);
                true
            }
            _ => false,
        }
    }

    /// One is new.
    pub(super) fn insert(
        &mut self,
        cookie: u64,
        (netns, address): (u64, SocketAddr),
        (seen_ns, sweep): (u64, u32),
        who: Who,
    ) {
        self.gone(cookie);
        if self.by_cookie.len() >= MOST {
            return;
        }
        let listener = Listener {
            netns,
            address,
            entity: who.entity,
            heir: who.heir,
            seen_ns,
            sweep,
        };
        self.by_cookie.insert(cookie, listener);
        self.by_port
            .entry((netns, address.port()))
            .or_default()
            .push(cookie);
    }

    /// One closed.
    pub(super) fn gone(&mut self, cookie: u64) {
        let Some(listener) = self.by_cookie.remove(&cookie) else {
            return;
        };
        let key = (listener.netns, listener.address.port());
        if let Some(cookies) = self.by_port.get_mut(&key) {
            cookies.retain(|other| *other != cookie);
            if cookies.is_empty() {
                self.by_port.remove(&key);
            }
        }
    }

    /// A whole sweep that began at `began_ns` is over: who was there before and was not seen is gone.
    pub(super) fn swept(&mut self, sweep: u32, began_ns: u64) {
        let gone: Vec<u64> = self
            .by_cookie
            .iter()
            .filter(|(_, listener)| listener.sweep != sweep && listener.seen_ns < began_ns)
            .map(|(cookie, _)| *cookie)
            .collect();
        for cookie in gone {
            self.gone(cookie);
        }
    }

    /// Whether something in this namespace accepts connections to `local`.
    pub(super) fn accepts(&self, netns: u64, local: SocketAddr) -> bool {
        self.at(netns, local).next().is_some()
    }

    /// Who would accept a connection from `local` to `remote` within one namespace: only asked where the
    /// address itself says that it is this namespace's own.
    pub(super) fn named(
        &self,
        netns: u64,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<&Arc<Entity>> {
        let own = remote.ip() == local.ip() || remote.ip().is_loopback();
        own.then(|| self.at(netns, remote).next())
            .flatten()
            .map(|listener| &listener.entity)
    }

    /// Who accepted a connection at `local` that came without a process. The kernel prefers a listener at
    /// just this address to one at every address; several there that are not one process are nobody.
    pub(super) fn heir(
        &self,
        netns: u64,
        local: SocketAddr,
    ) -> Option<(&Arc<Entity>, &Arc<Process>)> {
        let heirs = || {
            self.at(netns, local)
                .filter_map(|one| Some((one, one.heir.as_ref()?)))
        };
        let exact = heirs().any(|(one, _)| !one.address.ip().is_unspecified());
        let mut nearest = heirs().filter(|(one, _)| one.address.ip().is_unspecified() != exact);
        let (first, heir) = nearest.next()?;
        nearest
            .all(|(_, other)| other == heir)
            .then_some((&first.entity, heir))
    }

    fn at(&self, netns: u64, to: SocketAddr) -> impl Iterator<Item = &Listener> {
        self.by_port
            .get(&(netns, to.port()))
            .into_iter()
            .flatten()
            .filter_map(|cookie| self.by_cookie.get(cookie))
            .filter(move |listener| {
                listener.address.ip().is_unspecified() || listener.address.ip() == to.ip()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_accepts_at_its_own_address_or_at_every_one() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let who = || Who {
            entity: Arc::new(Entity::new([])),
            heir: None,
        };
        let mut listeners = Listeners::default();
        let one = (7, address("10.0.0.1:80"));
        listeners.insert(1, one, (0, 1), who());
        assert!(listeners.accepts(7, address("10.0.0.1:80")));
        for (netns, elsewhere) in [(7, "10.0.0.2:80"), (7, "10.0.0.1:81"), (8, "10.0.0.1:80")] {
            assert!(
                !listeners.accepts(netns, address(elsewhere)),
                "{netns} {elsewhere}"
            );
        }
        listeners.insert(2, (7, address("[::]:80")), (0, 1), who());
        assert!(listeners.accepts(7, address("10.0.0.2:80")));
        listeners.gone(2);
        assert!(!listeners.accepts(7, address("10.0.0.2:80")));
    }

    #[test]
    fn a_connection_without_a_process_gets_the_one_that_listens_nearest() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut listeners = Listeners::default();
        let mut add = |cookie, at, pid: Option<u32>| {
            let heir = pid.map(|pid| {
                Arc::new(Process {
                    pid,
                    executable: "api".into(),
                })
            });
            let entity = Arc::new(Entity::new([]));
            listeners.insert(cookie, (7, address(at)), (0, 1), Who { entity, heir });
        };
        add(1, "[::]:80", Some(10));
        add(2, "10.0.0.1:80", Some(20));
        add(3, "10.0.0.2:80", None);
        add(4, "0.0.0.0:81", Some(30));
        add(5, "0.0.0.0:81", Some(31));
        let pid = |netns, at| {
            let (_, process) = listeners.heir(netns, address(at))?;
            Some(process.pid)
        };
        assert_eq!(pid(7, "10.0.0.1:80"), Some(20));
        assert_eq!(
            pid(7, "10.0.0.2:80"),
            Some(10),
            "the kernel tells the other's"
        );
        assert_eq!(pid(7, "[fd00::1]:80"), Some(10));
        assert_eq!(pid(7, "10.0.0.1:81"), None, "two share the port");
        assert_eq!(pid(7, "10.0.0.1:82"), None);
        assert_eq!(pid(8, "10.0.0.1:80"), None, "another namespace");
    }
}
