//! Recorded paths of the runtimes, drivers and hierarchies that there are, and what each one says.

use super::*;

const ID: &str = "3f4a9c8e7d6b5a493827161504f3e2d1c0b9a8978685746352413f2e1d0c9b8a";
const INNER: &str = "aa00bb11cc22dd33ee44ff5566778899aa00bb11cc22dd33ee44ff5566778899";
const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const STATIC_UID: &str = "b8c4a3f2e1d0b9a8c7d6e5f4a3b2c1d0";

type Said = Option<&'static str>;
type Recorded = (&'static str, Said, Said, Said);

/// Path (`ID`, `INNER`, `UID`, `U_I_D` and `STATIC` stand for those), container, pod, name.
const PATHS: &[Recorded] = &[
    // Kubernetes, systemd driver.
    (
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_I_D.slice/cri-containerd-ID.scope",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/cri-containerd-ID.scope",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-podU_I_D.slice/cri-containerd-ID.scope",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/crio-ID.scope",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/crio-ID.scope/container",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/crio-conmon-ID.scope",
        None,
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_I_D.slice/docker-ID.scope",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSTATIC.slice/cri-containerd-ID.scope",
        Some(ID),
        Some(STATIC_UID),
        None,
    ),
    // Kubernetes, cgroupfs driver.
    ("/kubepods/besteffort/podUID/ID", Some(ID), Some(UID), None),
    ("/kubepods/burstable/podUID/ID", Some(ID), Some(UID), None),
    ("/kubepods/podUID/ID", Some(ID), Some(UID), None),
    (
        "/kubepods/burstable/podSTATIC/ID",
        Some(ID),
        Some(STATIC_UID),
        None,
    ),
    (
        "/kubepods/burstable/podUID/crio-ID",
        Some(ID),
        Some(UID),
        None,
    ),
    // The drivers of kubelet and containerd disagree.
    (
        "/system.slice/containerd.service/kubepods-burstable-podU_I_D.slice:cri-containerd:ID",
        Some(ID),
        Some(UID),
        None,
    ),
    (
        "/kubepods-besteffort-podU_I_D.slice:cri-containerd:ID",
        Some(ID),
        Some(UID),
        None,
    ),
    // Clusters in containers: kind, k3d, Docker in a pod.
    (
        "/docker/ID/kubelet/kubepods/burstable/podUID/INNER",
        Some(INNER),
        Some(UID),
        None,
    ),
    (
        "/docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podU_I_D.slice/cri-containerd-INNER.scope",
        Some(INNER),
        Some(UID),
        None,
    ),
    (
        "/system.slice/docker-ID.scope/kubepods/besteffort/podUID/INNER",
        Some(INNER),
        Some(UID),
        None,
    ),
    (
        "/kubepods/burstable/podUID/ID/docker/INNER",
        Some(INNER),
        Some(UID),
        None,
    ),
    (
        "/docker/ID/system.slice/containerd.service",
        Some(ID),
        None,
        Some("containerd"),
    ),
    ("/docker/ID/init.scope", Some(ID), None, None),
    // Docker, containerd, nerdctl.
    ("/docker/ID", Some(ID), None, None),
    ("/system.slice/docker-ID.scope", Some(ID), None, None),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
        Some(ID),
        None,
        None,
    ),
    ("/default/ID", Some(ID), None, None),
    ("/system.slice/nerdctl-ID.scope", Some(ID), None, None),
    (
        "/ecs/0123456789abcdef0123456789abcdef/ID",
        Some(ID),
        None,
        None,
    ),
    ("/../../docker/ID", Some(ID), None, None),
    // Podman: root, rootless, and its monitor, which is not the container.
    ("/machine.slice/libpod-ID.scope", Some(ID), None, None),
    (
        "/machine.slice/libpod-ID.scope/container",
        Some(ID),
        None,
        None,
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
        Some(ID),
        None,
        None,
    ),
    ("/libpod_parent/libpod-ID", Some(ID), None, None),
    ("/machine.slice/libpod-conmon-ID.scope", None, None, None),
    (
        "/machine.slice/machine-libpod_pod_ID.slice/libpod-INNER.scope",
        Some(INNER),
        None,
        None,
    ),
    // systemd.
    ("/system.slice/nginx.service", None, None, Some("nginx")),
    (
        "/system.slice/system-getty.slice/getty@tty1.service",
        None,
        None,
        Some("getty@tty1"),
    ),
    (
        r"/system.slice/systemd-fsck@dev-disk-by\x2duuid.service",
        None,
        None,
        Some("systemd-fsck@dev-disk-by-uuid"),
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
        None,
        None,
        Some("syncthing"),
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/init.scope",
        None,
        None,
        None,
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4711.scope",
        None,
        None,
        None,
    ),
    (
        "/user.slice/user-1000.slice/session-3.scope",
        None,
        None,
        None,
    ),
    (
        r"/machine.slice/machine-qemu\x2d3\x2dweb.scope",
        None,
        None,
        Some("qemu-3-web"),
    ),
    (
        "/machine.slice/systemd-nspawn@builder.service/payload",
        None,
        None,
        Some("systemd-nspawn@builder"),
    ),
    // LXC.
    ("/lxc/web1", None, None, Some("web1")),
    ("/lxc.payload.web1", None, None, Some("web1")),
    (
        "/lxc.payload/web1/system.slice/nginx.service",
        None,
        None,
        Some("nginx"),
    ),
    // Nobody's.
    ("/", None, None, None),
    ("", None, None, None),
    ("/init.scope", None, None, None),
    ("/kubepods/burstable", None, None, None),
    ("/podium.slice", None, None, None),
    ("/ID0", None, None, None),
    ("/docker/3f4a9c8e7d6b", None, None, None),
];

#[test]
fn every_recorded_path_names_its_owner() {
    for (pattern, container, pod, name) in PATHS {
        let path = pattern
            .replace("STATIC", STATIC_UID)
            .replace("INNER", INNER)
            .replace("U_I_D", &UID.replace('-', "_"))
            .replace("UID", UID)
            .replace("ID", ID);
        let said = owner(&path);
        assert_eq!(said.container, *container, "{path}");
        assert_eq!(said.pod_uid.as_deref(), *pod, "{path}");
        assert_eq!(said.name.as_deref(), *name, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_path_is_too_strange(path in "[/:.a-f0-9@_x\\\\é-]{0,200}|(/pod|\\.scope|\\.service|docker-|\\\\x|[0-9a-f]{64}){0,6}") {
        let said = owner(&path);
        proptest::prop_assert!(said.container.is_none_or(|id| id.len() == CONTAINER_ID_LEN));
    }
}
