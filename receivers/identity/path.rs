//! Who owns a cgroup, read from its path: container runtimes and systemd write it there, each in its
//! own way, and reading it needs no runtime's socket and no privilege.

/// What a path says. The deepest owner wins: in Docker-in-Docker or kind the inner container is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner<'a> {
    /// The container's id, 64 hexadecimal digits.
    pub(crate) container: Option<&'a str>,
    /// The pod's UID, with dashes where it has them.
    pub(crate) pod_uid: Option<String>,
    /// A name that the path spells: a systemd unit (within the container, if there is one), a virtual
    /// machine, an LXC container.
    pub(crate) name: Option<String>,
}

const CONTAINER_ID_LEN: usize = 64;

/// Reads a path as `/proc/PID/cgroup` shows it.
pub(crate) fn owner(path: &str) -> Owner<'_> {
    let mut owner = Owner::default();
    let mut above = "";
    // containerd's cgroupfs driver given a systemd-style parent writes `slice:prefix:id`.
    for part in path.split(['/', ':']).filter(|part| !part.is_empty()) {
        if let Some(uid) = pod_uid(part) {
            owner = Owner {
                pod_uid: Some(uid),
                ..Owner::default()
            };
        } else if let Some(id) = container_id(part) {
            owner.container = Some(id);
            owner.name = None;
        } else if let Some(name) = payload(part, above) {
            owner = Owner {
                name: Some(name.to_owned()),
                ..Owner::default()
            };
        } else if let Some(unit) = part.strip_suffix(".service") {
            // A user's own service manager is the frame of what runs in it, not a service.
            owner.name = (!unit.starts_with("user@")).then(|| unescape(unit));
        } else if let Some(scope) = part.strip_suffix(".scope") {
            // A login session or a transient scope has a number, not a name; a machine has one.
            owner.name = scope.strip_prefix("machine-").map(unescape);
        }
        above = part;
    }
    owner
}

/// The id of `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>`, `libpod-<id>.scope`, `<id>` …
/// A container's monitor (`…-conmon-<id>.scope`) is not in the container.
fn container_id(part: &str) -> Option<&str> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let (prefix, id) = part.split_at_checked(part.len().checked_sub(CONTAINER_ID_LEN)?)?;
    let runtime = prefix.is_empty() || prefix.ends_with('-');
    let hexadecimal = id
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (runtime && hexadecimal && !prefix.ends_with("conmon-")).then_some(id)
}

/// The UID of `pod<uid>` and `kubepods-burstable-pod<uid>.slice`. systemd cannot have dashes in it, and
/// a static pod's is a bare hash.
fn pod_uid(part: &str) -> Option<String> {
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let at = part.rfind("pod")?;
    let (before, uid) = (&part[..at], &part[at + 3..]);
    if !before.is_empty() && !before.ends_with('-') {
        return None;
    }
    let uid = uid.replace('_', "-");
    let dashed = uid.len() == 36
        && uid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let hash = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    (dashed || hash).then_some(uid)
}

/// The name of an LXC container: `/lxc/<name>`, `/lxc.payload/<name>`, `/lxc.payload.<name>`.
fn payload<'a>(part: &'a str, above: &str) -> Option<&'a str> {
    if matches!(above, "lxc" | "lxc.payload") {
        return Some(part);
    }
    part.strip_prefix("lxc.payload.")
        .filter(|name| !name.is_empty())
}

/// Undoes systemd's `\x2d`; what is no such escape stays as it is.
fn unescape(unit: &str) -> String {
    let mut plain = Vec::with_capacity(unit.len());
    let mut rest = unit.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .strip_prefix(b"x")
            .filter(|_| first == b'\\')
            .and_then(|digits| digits.first_chunk::<2>())
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
