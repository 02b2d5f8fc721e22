//! Who this agent is: its host, its node, and an instance that no other agent has.

use std::fs;
use std::hash::Hash as _;
use std::path::Path;

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use tapetum_processors::k8s;

use crate::pipeline::Instance;

/// What stands in the agent's own resource.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) host: String,
    /// Empty where the file does not say it.
    pub(crate) node: String,
    pub(crate) instance: String,
}

impl Identity {
    /// Of the processors of the file, of which `k8s` is told the node, and of the host below `root`.
    pub(crate) fn of(processors: &[Instance], root: &Path) -> Self {
        let host = line(&root.join("proc/sys/kernel/hostname"));
        let node = processors
            .iter()
            .filter(|processor| processor.component.name == k8s::COMPONENT.name)
            .find_map(|k8s| k8s.settings.table().get("node")?.as_str())
            .unwrap_or_default()
            .to_owned();
        let instance = match &*node {
            "" => instance(root, &host).unwrap_or_else(|| host.clone()),
            node => node.to_owned(),
        };
        Self {
            host,
            node,
            instance,
        }
    }
}

/// One agent watches one network namespace of a machine, so these two tell agents apart, also where
/// hosts share a name; and machines that are copies of one image at least differ in their names. The
/// machine's id is the key of the hash because it must not leave the machine.
fn instance(root: &Path, host: &str) -> Option<String> {
    let machine = u128::from_str_radix(&line(&root.join("etc/machine-id")), 16).ok()?;
    let namespace = fs::read_link(root.join("proc/self/ns/net")).ok()?;
    let mut hasher = SipHasher24::new_with_key(&machine.to_be_bytes());
    ("tapetum instance", host, namespace.as_os_str()).hash(&mut hasher);
    let bits = hasher.finish128().as_u128();
    // Version 8, variant 1: a UUID by rules of one's own.
    let bits = bits & !(0xf << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Some(parts.join("-"))
}

fn line(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::pipeline::{QueueSpec, RetrySpec, Settings};

    const MACHINE: &str = "0123456789abcdef0123456789abcdef";

    fn on(host: &str, machine: &str, namespace: &str, processors: &[Instance]) -> Identity {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        };
        write("proc/sys/kernel/hostname", host);
        write("etc/machine-id", machine);
        write("proc/self/ns/.keep", "");
        symlink(namespace, root.path().join("proc/self/ns/net")).unwrap();
        Identity::of(processors, root.path())
    }

    fn of_k8s(node: &str) -> Instance {
        Instance {
            id: "k8s/first".to_owned(),
            component: &k8s::COMPONENT,
            settings: Settings::new(toml::from_str(&format!("node = '{node}'")).unwrap()),
            queue: QueueSpec {
                size_bytes: 0,
                full: None,
                disk: None,
            },
            retry: RetrySpec {
                first: Duration::ZERO,
                most: Duration::ZERO,
                give_up: Duration::ZERO,
            },
        }
    }

    #[test]
    fn a_restart_is_the_same_instance_and_a_neighbour_another() {
        let of = |host, machine, namespace| on(host, machine, namespace, &[]).instance;
        let first = of("a", MACHINE, "net:[1]");
        assert_eq!(first, of("a", MACHINE, "net:[1]"));
        let others = [
            of("b", MACHINE, "net:[1]"),
            of("a", &MACHINE.replace('f', "0"), "net:[1]"),
            of("a", MACHINE, "net:[2]"),
        ];
        assert!(!others.contains(&first), "{first} {others:?}");
    }

    #[test]
    fn it_is_a_uuid_without_the_id_of_the_machine() {
        let id = on("a", MACHINE, "net:[1]", &[]).instance;
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert!(
            id[14..].starts_with('8') && "89ab".contains(&id[19..20]),
            "{id}"
        );
        assert!(!id.replace('-', "").contains(&MACHINE[..8]), "{id}");
    }

    #[test]
    fn the_node_of_the_file_goes_first_and_a_host_without_an_id_is_its_name() {
        let node = on("a", MACHINE, "net:[1]", &[of_k8s("node-7")]);
        assert_eq!((&*node.node, &*node.instance), ("node-7", "node-7"));
        let unsaid = on("a", MACHINE, "net:[1]", &[of_k8s("")]);
        assert_eq!((&*unsaid.node, unsaid.instance.len()), ("", 36));
        assert_eq!(on("a", "uninitialized", "net:[1]", &[]).instance, "a");
    }
}
