//! Sockets that listen, and outlive the instance that listens on them: a component that is made anew while
//! the one before it still serves takes over the same socket, so no address is in use and no client is
//! refused in between.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A socket that listens; the kernel closes it when the last instance that was lent it is gone. Whoever
/// serves keeps it as long as it serves.
#[derive(Clone, Debug)]
pub struct Listener(Arc<TcpListener>);

/// The sockets of a process, by the instance that listens and the address in the file.
#[derive(Clone, Default)]
pub struct Listeners(Arc<Mutex<Sockets>>);

type Sockets = BTreeMap<(Arc<str>, String), Weak<TcpListener>>;

impl Listener {
    /// The same socket for the runtime to accept from.
    ///
    /// # Errors
    /// Where no descriptor is left; outside of a runtime it panics.
    pub fn tokio(&self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.0.try_clone()?)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the kernel does not say it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Listeners {
    /// Listens for `instance` on `address`: on the socket that it has there, else on a new one.
    pub(crate) fn listen(&self, instance: &Arc<str>, address: &str) -> io::Result<Listener> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|_, socket| socket.strong_count() > 0);
        let key = (Arc::clone(instance), address.to_owned());
        if let Some(socket) = sockets.get(&key).and_then(Weak::upgrade) {
            return Ok(Listener(socket));
        }
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(socket);
        sockets.insert(key, Arc::downgrade(&socket));
        Ok(Listener(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_takes_over_and_another_instance_does_not() {
        let listeners = Listeners::default();
        let (mine, other): (Arc<str>, Arc<str>) = ("otlp".into(), "otlp/second".into());
        let first = listeners.listen(&mine, "127.0.0.1:0").unwrap();
        let address = first.address().unwrap();
        let second = listeners.listen(&mine, "127.0.0.1:0").unwrap();
        assert_eq!(second.address().unwrap(), address);
        drop(first);
        let text = address.to_string();
        let taken = listeners.listen(&other, &text).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(second);
        let anew = listeners.listen(&other, &text).unwrap();
        assert_eq!(anew.address().unwrap(), address);
    }

    #[tokio::test]
    async fn who_connects_between_two_instances_waits_for_the_second() {
        let listeners = Listeners::default();
        let mine: Arc<str> = "otlp".into();
        let first = listeners.listen(&mine, "127.0.0.1:0").unwrap();
        let second = listeners.listen(&mine, "127.0.0.1:0").unwrap();
        drop(first.tokio().unwrap());
        drop(first);
        let client = tokio::net::TcpStream::connect(second.address().unwrap());
        let client = client.await.unwrap();
        let (_, from) = second.tokio().unwrap().accept().await.unwrap();
        assert_eq!(from, client.local_addr().unwrap());
    }
}
