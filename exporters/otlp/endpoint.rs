//! Where the server is, as a file says it.

use http::uri::{Authority, Scheme, Uri};

use super::config::Protocol;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host and port; the port is filled in.
    pub(super) authority: Authority,
    /// By TLS.
    pub(super) is_secure: bool,
    /// What stands before `/v1/traces`; without a slash at its end.
    pub(super) path: String,
}

/// Where servers listen for OTLP unless told otherwise.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;
/// Where a server of the outside world listens.
const HTTPS_PORT: u16 = 443;

impl Endpoint {
    /// Reads `http://host:port`, `https://host:port`, and with HTTP a path behind it.
    pub(super) fn parse(endpoint: &str, protocol: Protocol) -> Result<Self, String> {
        let unreadable =
            || format!("`{endpoint}` is not an address: write for example http://collector:4317");
        let uri: Uri = endpoint.parse().map_err(|_| unreadable())?;
        let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
        let is_known = is_secure || uri.scheme() == Some(&Scheme::HTTP);
        let (Some(authority), true) = (uri.authority(), is_known) else {
            return Err(unreadable());
        };
        if authority.as_str().contains('@') {
            return Err("no user in an endpoint: use `headers`".to_owned());
        }
        if uri.query().is_some() {
            return Err("an endpoint has no `?`: use `headers`".to_owned());
        }
        let path = uri.path().trim_end_matches('/');
        let own = ["/v1/traces", "/v1/metrics", "/v1/logs"];
        if let Some(signal) = own.iter().find(|own| path.ends_with(**own)) {
            return Err(format!(
                "leave `{signal}` out: each signal has its own path, which is put behind the endpoint"
            ));
        }
        if protocol == Protocol::Grpc && !path.is_empty() {
            return Err("gRPC has no path: write only http://host:port".to_owned());
        }
        let port = match (protocol, is_secure) {
            (_, true) => HTTPS_PORT,
            (Protocol::Grpc, false) => GRPC_PORT,
            (Protocol::Http, false) => HTTP_PORT,
        };
        let authority = match authority.port_u16() {
            Some(_) => authority.clone(),
            None => format!("{}:{port}", authority.host())
                .parse()
                .map_err(|_| unreadable())?,
        };
        Ok(Self {
            authority,
            is_secure,
            path: path.to_owned(),
        })
    }

    /// As a resolver wants it: an IPv6 address has no brackets.
    pub(super) fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or_default()
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_endpoint_leaves_out_is_filled_in() {
        for (endpoint, protocol, expected) in [
            ("http://collector", Protocol::Grpc, "http collector:4317 "),
            ("http://collector", Protocol::Http, "http collector:4318 "),
            (
                "https://vendor.example",
                Protocol::Grpc,
                "https vendor.example:443 ",
            ),
            (
                "https://[::1]:4318/otlp/",
                Protocol::Http,
                "https [::1]:4318 /otlp",
            ),
        ] {
            let read = Endpoint::parse(endpoint, protocol).unwrap();
            let said = format!("{} {} {}", read.scheme(), read.authority, read.path);
            assert_eq!(said, expected);
        }
        assert_eq!(
            Endpoint::parse("http://[::1]:1", Protocol::Grpc)
                .unwrap()
                .host(),
            "::1"
        );
    }

    #[test]
    fn what_is_none_is_said() {
        for (endpoint, protocol, said) in [
            ("collector:4317", Protocol::Grpc, "is not an address"),
            ("ftp://collector", Protocol::Http, "is not an address"),
            ("http://a:b@collector", Protocol::Http, "no user"),
            ("http://collector/?a=b", Protocol::Http, "no `?`"),
            ("http://collector/x", Protocol::Grpc, "gRPC has no path"),
            (
                "http://collector/v1/traces",
                Protocol::Http,
                "leave `/v1/traces` out",
            ),
            (
                "http://collector/v1/logs",
                Protocol::Grpc,
                "leave `/v1/logs` out",
            ),
        ] {
            let why = Endpoint::parse(endpoint, protocol).unwrap_err();
            assert!(why.contains(said), "{endpoint}: {why}");
        }
    }
}
