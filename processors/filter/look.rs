//! What an item says under a name, whatever it is: a row through its table, a point, a part of an OTLP request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use tapetum_model::{Attr, End, Point, Rows, Value};
use tapetum_otlp::edit::{Any, Item};
use tapetum_otlp::names::{self, span};

/// A value that a condition is held against.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Int(i64),
    Bool(bool),
    Address(IpAddr),
}

/// An item that can be asked.
pub(super) trait Looked {
    /// The value of an attribute.
    fn attribute<'a>(&'a self, name: &Name) -> Option<Seen<'a>>;
    /// `client`, `server` and so on.
    fn kind(&self) -> Option<&'static str>;
    /// A span's or a metric's name.
    fn name(&self) -> Option<&str>;
}

/// A row of any kind of record.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) rows: &'a dyn Rows,
    pub(super) row: usize,
}

/// An attribute's name, and where a row has it.
#[derive(Clone, Debug)]
pub(super) struct Name {
    text: Box<str>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Address(Which),
    Port(Which),
    Family,
    Dimension(Attr),
    Entity(Which, Attr),
    /// The Service that was asked for.
    Service,
}

/// Which end of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Near,
    Far,
    /// Who connected: the source.
    Initiator,
    /// Who accepted: the destination.
    Acceptor,
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            place: place(text),
        }
    }
}

fn place(name: &str) -> Place {
    match name {
        span::CLIENT_ADDRESS | "source.address" => Place::Address(Which::Initiator),
        span::CLIENT_PORT | "source.port" => Place::Port(Which::Initiator),
        span::SERVER_ADDRESS | "destination.address" => Place::Address(Which::Acceptor),
        span::SERVER_PORT | "destination.port" => Place::Port(Which::Acceptor),
        span::LOCAL_ADDRESS => Place::Address(Which::Near),
        span::LOCAL_PORT => Place::Port(Which::Near),
        span::PEER_ADDRESS => Place::Address(Which::Far),
        span::PEER_PORT => Place::Port(Which::Far),
        span::NETWORK_TYPE => Place::Family,
        span::NETWORK_TRANSPORT => Place::Dimension(Attr::NetworkTransport),
        span::END_REASON => Place::Dimension(Attr::TcpEndReason),
        span::ERROR_TYPE => Place::Dimension(Attr::ErrorType),
        "destination.k8s.service.name" => Place::Service,
        "tcp.reset.origin" => Place::Dimension(Attr::TcpResetOrigin),
        _ => match (
            name.strip_prefix("source."),
            name.strip_prefix("destination."),
        ) {
            (Some(of), _) => Place::Entity(Which::Initiator, names::of_entity(of)),
            (_, Some(of)) => Place::Entity(Which::Acceptor, names::of_entity(of)),
            _ => Place::Entity(Which::Near, names::of_entity(name)),
        },
    }
}

impl<'a> Row<'a> {
    fn end(&self, which: Which) -> &'a End {
        let (near, far) = self.rows.ends(self.row);
        let here = self.rows.initiated_here(self.row);
        match (which, here) {
            (Which::Near, _) | (Which::Initiator, true) | (Which::Acceptor, false) => near,
            _ => far,
        }
    }
}

impl Looked for Row<'_> {
    fn attribute<'a>(&'a self, name: &Name) -> Option<Seen<'a>> {
        let port = |address: SocketAddr| Seen::Int(address.port().into());
        match &name.place {
            Place::Address(which) => Some(Seen::Address(self.end(*which).address.ip())),
            Place::Port(which) => Some(port(self.end(*which).address)),
            Place::Family => {
                let is_v4 = self.end(Which::Near).address.is_ipv4();
                Some(Seen::Text(if is_v4 { "ipv4" } else { "ipv6" }.into()))
            }
            Place::Dimension(attr) => self.rows.dimension(self.row, attr).map(owned),
            Place::Service => {
                let service = self.end(Which::Acceptor).service.as_ref()?;
                Some(Seen::Text(Cow::Borrowed(&service.name)))
            }
            Place::Entity(which, attr) => {
                let end = self.end(*which);
                let value = end.entity.as_ref()?.attribute(attr)?;
                Some(Seen::Text(Cow::Borrowed(value)))
            }
        }
    }

    fn kind(&self) -> Option<&'static str> {
        let here = self.rows.initiated_here(self.row);
        Some(if here { "client" } else { "server" })
    }

    fn name(&self) -> Option<&str> {
        None
    }
}

impl Looked for Point {
    fn attribute<'a>(&'a self, name: &Name) -> Option<Seen<'a>> {
        let mut all = self.attributes.0.iter();
        let is_it = |attr: &Attr| {
            let (end, rest) = names::parts(attr);
            name.text.strip_prefix(end) == Some(rest)
        };
        let (_, value) = all.find(|(attr, _)| is_it(attr))?;
        Some(match value {
            Value::Static(text) => Seen::Text(Cow::Borrowed(text)),
            Value::Text(text) => Seen::Text(Cow::Borrowed(text)),
            Value::Int(number) => Seen::Int(*number),
        })
    }

    fn kind(&self) -> Option<&'static str> {
        None
    }

    fn name(&self) -> Option<&str> {
        Some(names::metric(self.metric).name)
    }
}

impl Looked for Item<'_> {
    fn attribute<'a>(&'a self, name: &Name) -> Option<Seen<'a>> {
        Some(match Item::attribute(self, &name.text)? {
            Any::Text(text) => Seen::Text(Cow::Borrowed(text)),
            Any::Bool(truth) => Seen::Bool(truth),
            Any::Int(number) => Seen::Int(number),
            Any::Double(number) => Seen::Number(number),
            Any::Other => return None,
        })
    }

    fn kind(&self) -> Option<&'static str> {
        Item::kind(self)
    }

    fn name(&self) -> Option<&str> {
        Item::name(self)
    }
}

fn owned(value: Value) -> Seen<'static> {
    match value {
        Value::Static(text) => Seen::Text(Cow::Borrowed(text)),
        Value::Text(text) => Seen::Text(Cow::Owned(text.to_string())),
        Value::Int(number) => Seen::Int(number),
    }
}
