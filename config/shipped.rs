//! The pipeline files that come with Tapetum, inside the program too.

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name: `demo` is `config/demo.toml`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All of them.
pub static SHIPPED: [Shipped; 4] = [
    Shipped {
        name: "demo",
        text: include_str!("demo.toml"),
    },
    Shipped {
        name: "host",
        text: include_str!("host.toml"),
    },
    Shipped {
        name: "agent",
        text: include_str!("agent.toml"),
    },
    Shipped {
        name: "relay",
        text: include_str!("relay.toml"),
    },
];
