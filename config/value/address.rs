//! What addresses look like, without asking anybody for them.

use std::net::Ipv6Addr;

/// `host:port` to listen on.
pub(crate) fn is_listen(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && is_port(port))
}

/// `http://host[:port][/path]`, or `https`; a login inside would be a secret in a place that is shown.
pub(crate) fn is_url(text: &str) -> bool {
    let Some(rest) = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
    else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let shown = |text: &str| {
        text.chars()
            .all(|each| each.is_ascii_graphic() && each != '@')
    };
    let host_only = authority.ends_with(']') || !authority.contains(':');
    shown(path) && ((host_only && is_host(authority)) || is_listen(authority))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_host(text: &str) -> bool {
    if let Some(v6) = text.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().is_ok();
    }
    !text.is_empty()
        && text
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '.' | '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        for right in ["127.0.0.1:9464", "[::]:1", "localhost:0", "0.0.0.0:65535"] {
            assert!(is_listen(right), "{right}");
        }
        for wrong in [
            "", ":9464", "9464", "::1:80", "a:65536", "a:+1", "a b:1", "a:",
        ] {
            assert!(!is_listen(wrong), "{wrong}");
        }
    }

    #[test]
    fn urls() {
        for right in [
            "http://otel-collector.observability:4317",
            "https://archive.example:4318",
            "http://[::1]:4317",
            "https://host",
            "http://host/v1/traces",
        ] {
            assert!(is_url(right), "{right}");
        }
        for wrong in [
            "",
            "host:4317",
            "grpc://host:1",
            "http://",
            "http://a:b@host:1",
            "http://h:x",
        ] {
            assert!(!is_url(wrong), "{wrong}");
        }
    }
}
