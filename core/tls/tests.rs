//! Pairs that work, files that do not, and files that change.

use std::fs;
use std::path::{Path, PathBuf};

use tapetum_testkit::certificates::{Authority, Pair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

struct Place {
    folder: TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new(folder.path(), "authority");
        Self { folder, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self) -> ClientTls {
        ClientTls {
            ca: Some(self.path("authority.pem")),
            ..ClientTls::default()
        }
    }
}

fn shows(pair: &Pair) -> ServerTls {
    ServerTls {
        cert: pair.cert.clone(),
        key: pair.key.clone(),
        client_ca: None,
    }
}

fn server(tls: &ServerTls) -> Server {
    Server::open(tls, &[alpn::H2, alpn::HTTP1]).expect("good files")
}

fn client(tls: &ClientTls) -> Client {
    Client::open(tls, &[alpn::H2]).expect("good files")
}

/// The certificate that the client saw after a word went through, or what either side said.
async fn talk(server: &Server, client: &Client, host: &str) -> Result<Vec<u8>, String> {
    let (here, there) = duplex(16 << 10);
    let serving = async {
        let mut stream = server.accept(there).await.map_err(|why| why.to_string())?;
        let mut word = [0; 5];
        stream
            .read_exact(&mut word)
            .await
            .map_err(|why| why.to_string())?;
        stream
            .write_all(&word)
            .await
            .map_err(|why| why.to_string())?;
        stream.flush().await.map_err(|why| why.to_string())?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn::H2));
        Ok::<_, String>(stream)
    };
    let asking = async {
        let mut stream = client
            .connect(host, here)
            .await
            .map_err(|why| why.to_string())?;
        stream
            .write_all(b"hello")
            .await
            .map_err(|why| why.to_string())?;
        let mut word = [0; 5];
        stream
            .read_exact(&mut word)
            .await
            .map_err(|why| why.to_string())?;
        assert_eq!(&word, b"hello");
        let shown = stream
            .get_ref()
            .1
            .peer_certificates()
            .expect("a certificate");
        Ok::<_, String>(shown[0].to_vec())
    };
    let (served, asked) = tokio::join!(serving, asking);
    served.and(asked)
}

fn der(path: &Path) -> Vec<u8> {
    pem::chain(path).expect("a certificate")[0].to_vec()
}

#[tokio::test]
async fn a_pair_of_the_authority_is_believed_for_its_host_only() {
    let place = Place::new();
    let pair = place.authority.issue("server", "collector.test");
    let (server, mut tls) = (server(&shows(&pair)), place.client());
    let seen = talk(&server, &client(&tls), "collector.test").await;
    assert_eq!(seen, Ok(der(&pair.cert)));
    let seen = talk(&server, &client(&tls), "other.test").await;
    assert!(seen.is_err(), "{seen:?}");
    tls.server_name = Some("collector.test".to_owned());
    assert!(talk(&server, &client(&tls), "10.0.0.1").await.is_ok());
    tls.ca = None;
    let seen = talk(&server, &client(&tls), "collector.test").await;
    assert!(seen.is_err(), "nobody else believes it: {seen:?}");
}

#[tokio::test]
async fn an_address_is_a_host_too() {
    let place = Place::new();
    let server = server(&shows(&place.authority.issue("server", "::1")));
    let seen = talk(&server, &client(&place.client()), "[::1]").await;
    assert!(seen.is_ok(), "{seen:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_certificates_takes_nobody_without() {
    let place = Place::new();
    let mut asks = shows(&place.authority.issue("server", "collector.test"));
    asks.client_ca = Some(place.path("authority.pem"));
    let server = server(&asks);
    let seen = talk(&server, &client(&place.client()), "collector.test").await;
    assert!(seen.is_err(), "{seen:?}");
    let shown = |pair: Pair| ClientTls {
        cert: Some(pair.cert),
        key: Some(pair.key),
        ..place.client()
    };
    let known = shown(place.authority.issue("agent", "agent.test"));
    let seen = talk(&server, &client(&known), "collector.test").await;
    assert!(seen.is_ok(), "{seen:?}");
    let stranger = Authority::new(place.folder.path(), "stranger");
    let stranger = shown(stranger.issue("agent-of-a-stranger", "agent.test"));
    let seen = talk(&server, &client(&stranger), "collector.test").await;
    assert!(seen.is_err(), "{seen:?}");
}

#[tokio::test]
async fn files_that_change_are_read_again_and_bad_ones_change_nothing() {
    let place = Place::new();
    let pair = place.authority.issue("server", "collector.test");
    let (server, client) = (server(&shows(&pair)), client(&place.client()));
    let first = talk(&server, &client, "collector.test").await;
    let good = fs::read(&pair.key).expect("a key");
    fs::write(&pair.key, "-----BEGIN NONSENSE").expect("a folder");
    assert_eq!(talk(&server, &client, "collector.test").await, first);
    let said = server.trouble().expect("something is wrong");
    assert!(said.contains("server-key.pem"), "{said}");
    fs::write(&pair.key, good).expect("a folder");
    assert_eq!(talk(&server, &client, "collector.test").await, first);
    assert_eq!(server.trouble(), None);
    fs::remove_file(&pair.cert).expect("it is there");
    assert_eq!(talk(&server, &client, "collector.test").await, first);
    place.authority.issue("server", "collector.test");
    let second = talk(&server, &client, "collector.test").await;
    assert_eq!(second, Ok(der(&pair.cert)));
    assert_ne!(first, second);
    // The authority is replaced too: its old certificates are not believed any more.
    Authority::new(place.folder.path(), "authority");
    assert!(talk(&server, &client, "collector.test").await.is_err());
}

#[tokio::test]
async fn a_folder_of_links_that_are_turned_is_seen() {
    let place = Place::new();
    let link = |name: &str, to: &str| {
        let new = place.path("new");
        std::os::unix::fs::symlink(place.path(to), &new).expect("a link");
        fs::rename(new, place.path(name)).expect("it is turned");
    };
    let first = place.authority.issue("first", "collector.test");
    let second = place.authority.issue("second", "collector.test");
    link("tls.crt", "first-cert.pem");
    link("tls.key", "first-key.pem");
    let pair = Pair {
        cert: place.path("tls.crt"),
        key: place.path("tls.key"),
    };
    let (server, client) = (server(&shows(&pair)), client(&place.client()));
    let seen = talk(&server, &client, "collector.test").await;
    assert_eq!(seen, Ok(der(&first.cert)));
    link("tls.crt", "second-cert.pem");
    // Half of a change is no pair: the one before stays.
    let seen = talk(&server, &client, "collector.test").await;
    assert_eq!(seen, Ok(der(&first.cert)));
    link("tls.key", "second-key.pem");
    let seen = talk(&server, &client, "collector.test").await;
    assert_eq!(seen, Ok(der(&second.cert)));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_what_to_do() {
    let place = Place::new();
    let pair = place.authority.issue("server", "collector.test");
    let other = place.authority.issue("other", "collector.test");
    let nothing = place.path("nothing.pem");
    fs::write(&nothing, "no PEM at all").expect("a folder");
    let broken = place.path("broken.pem");
    let der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&broken, der).expect("a folder");
    let said = |cert: &Path, key: &Path, client_ca: Option<&Path>| {
        let tls = ServerTls {
            cert: cert.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        };
        match Server::open(&tls, &[]) {
            Ok(_) => String::new(),
            Err(why) => why.to_string(),
        }
    };
    for (said, expected) in [
        (said(&pair.cert, &pair.key, None), ""),
        (
            said(&place.path("absent.pem"), &pair.key, None),
            "give a PEM file that this process may read",
        ),
        (
            said(&nothing, &pair.key, None),
            "begins with `-----BEGIN CERTIFICATE-----`",
        ),
        (said(&pair.key, &pair.key, None), "holds no certificate"),
        (said(&pair.cert, &pair.cert, None), "holds no private key"),
        (said(&broken, &pair.key, None), "broken.pem"),
        (
            said(&pair.cert, &other.key, None),
            "give the two that were made together",
        ),
        (
            said(&pair.cert, &pair.key, Some(&broken)),
            "broken.pem` cannot be used",
        ),
    ] {
        assert!(said.contains(expected), "{said} / {expected}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
    }
}

#[test]
fn half_a_pair_and_a_name_that_is_none_are_problems_of_the_file() {
    let problems = |tls: &ClientTls| {
        let problems = tls.problems();
        problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(problems(&ClientTls::default()), "");
    let half = ClientTls {
        cert: Some("cert.pem".into()),
        server_name: Some("not a name".to_owned()),
        ..ClientTls::default()
    };
    let said = problems(&half);
    assert!(
        said.contains("tls.cert: `cert` needs its private key"),
        "{said}"
    );
    assert!(
        said.contains("tls.server_name: `not a name` is not a host name"),
        "{said}"
    );
}
