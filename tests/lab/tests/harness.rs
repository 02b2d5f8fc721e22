//! The lab itself: what it builds works, its judges agree with each other, and nothing of it stays.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tapetum_lab::{
    Lab, Server, SocketInfo, Talk,
    peer::{Ending, Plan},
    traffic,
};

/// What is left of the lab with this prefix.
fn traces_of(prefix: &str) -> Vec<String> {
    let mut left = Vec::new();
    let temporary = std::env::temp_dir();
    let roots = [
        "/run/netns",
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        &temporary.display().to_string(),
    ];
    for root in roots {
        let names = fs::read_dir(root).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let ours = |name: &String| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        left.extend(names.filter(ours).map(|name| format!("{root}/{name}")));
    }
    left
}

#[test]
fn a_lab_leaves_nothing_behind() -> Result<()> {
    let Some(mut lab) = Lab::for_test("a_lab_leaves_nothing_behind", &[])? else {
        return Ok(());
    };
    let prefix = lab.prefix();
    let node = lab.node("a")?;
    let pod = node.pod("web")?;
    let server = Server::start(&pod, SocketAddr::new(pod.v4(), 80))?;
    let pid = server.pid();
    assert!(traces_of(&prefix).len() >= 5, "{:?}", traces_of(&prefix));
    drop((server, pod, node, lab));
    assert_eq!(traces_of(&prefix), Vec::<String>::new());
    assert!(!fs::exists(format!("/proc/{pid}"))?);
    Ok(())
}

#[test]
fn a_killed_builder_leaves_nothing_behind() -> Result<()> {
    let name = "a_killed_builder_leaves_nothing_behind";
    let Some(probe) = Lab::for_test(name, &[])? else {
        return Ok(());
    };
    drop(probe);
    // This test again, as the process that is killed while its lab stands.
    let mut builder = Command::new(std::env::current_exe()?)
        .args([
            "--exact",
            "stand_until_killed",
            "--include-ignored",
            "--nocapture",
        ])
        .env("TAPETUM_LAB_STAND", "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = builder.stdout.take().context("no output")?;
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"standing\n") {
        std::io::Read::read_exact(&mut output, &mut byte)?;
        said.push(byte[0]);
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    let prefix = said
        .split_whitespace()
        .rev()
        .nth(1)
        .context("no prefix")?
        .to_owned();
    assert!(!traces_of(&prefix).is_empty());
    builder.kill()?;
    builder.wait()?;
    let patience = Instant::now() + Duration::from_secs(20);
    while !traces_of(&prefix).is_empty() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(traces_of(&prefix), Vec::<String>::new());
    Ok(())
}

/// Not a test: what [`a_killed_builder_leaves_nothing_behind`] starts and kills.
#[test]
#[ignore = "is started by another test"]
fn stand_until_killed() -> Result<()> {
    if std::env::var_os("TAPETUM_LAB_STAND").is_none() {
        return Ok(());
    }
    let mut lab = Lab::new()?;
    let pod = lab.node("a")?.pod("web")?;
    let _server = Server::start(&pod, SocketAddr::new(pod.v4(), 80))?;
    println!("{} standing", lab.prefix());
    thread::sleep(Duration::from_secs(60));
    panic!("nobody killed this");
}

#[test]
fn a_virtual_ip_and_a_masquerade_translate() -> Result<()> {
    let name = "a_virtual_ip_and_a_masquerade_translate";
    let Some(mut lab) = Lab::for_test(name, &[])? else {
        return Ok(());
    };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let (client, server_pod) = (a.pod("client")?, b.pod("server")?);
    a.masquerade()?;
    for (virtual_ip, pod_ip, node_ip) in [
        (lab.virtual_v4(1), server_pod.v4(), a.v4()),
        (lab.virtual_v6(1), server_pod.v6(), a.v6()),
    ] {
        let virtual_address = SocketAddr::new(virtual_ip, 80);
        let address = SocketAddr::new(pod_ip, 8080);
        a.publish(virtual_address, &[address])?;
        let server = Server::start(&server_pod, address)?;
        let plan = Plan {
            to: virtual_address,
            connections: 3,
            vary: 2,
            ..Plan::default()
        };
        let sent = traffic::send(&client, &plan)?;
        let received = server.counts(3)?;
        for (id, here) in &sent {
            let there = &received[id];
            assert_eq!(here.peer, virtual_address);
            assert_eq!(there.local, address);
            assert_eq!(
                there.peer.ip(),
                node_ip,
                "the client is hidden behind its node"
            );
        }
    }
    Ok(())
}

#[test]
fn the_judges_agree() -> Result<()> {
    let Some(mut lab) = Lab::for_test("the_judges_agree", &["ss", "nstat"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    node.lose(8080, 1)?;
    let address = SocketAddr::new(server_pod.v4(), 8080);
    let server = Server::start(&server_pod, address)?;

    let mut first = 1;
    for (_, ending) in Ending::NAMES {
        let plan = Plan {
            to: address,
            connections: 4,
            first,
            up: 300_000,
            down: 200_000,
            vary: 3,
            at_once: 2,
            ending,
            ..Plan::default()
        };
        first += 4;
        let sent = traffic::send(&client, &plan)?;
        let received = server.counts(sent.len() + usize::try_from(first)? - 5)?;
        for (id, here) in &sent {
            let there = &received[id];
            assert_eq!(
                (here.sent, here.received),
                (there.received, there.sent),
                "{here:?} {there:?}"
            );
            assert!(here.sent >= 300_000 && here.received >= 200_000, "{here:?}");
            assert!(
                ["fin", "half", "reset"].contains(&there.end.trim_end_matches("-sent")),
                "{there:?}"
            );
        }
    }
    assert!(
        traffic_lost(&client)? > 0,
        "the loss must have cost something"
    );

    let mut talk = Talk::open(&client, address, 1000)?;
    let count = talk.exchange(12_345, 54_321)?;
    let info = SocketInfo::of(&client, count.local.port())?.context("ss sees the socket")?;
    assert_eq!(info.bytes_received, count.received);
    assert_eq!(info.bytes_acked, count.sent + 1, "and the SYN");
    assert_eq!(talk.end("fin")?.sent, count.sent);
    Ok(())
}

fn traffic_lost(place: &tapetum_lab::Place) -> Result<u64> {
    tapetum_lab::tools::kernel_counter(place, "TcpRetransSegs")
}

#[test]
fn every_process_is_in_its_cgroup_and_namespace() -> Result<()> {
    let name = "every_process_is_in_its_cgroup_and_namespace";
    let Some(mut lab) = Lab::for_test(name, &[])? else {
        return Ok(());
    };
    let pod = lab
        .node("a")?
        .pod("web")?
        .in_cgroup("system.slice/web.service")?;
    let server = Server::start(&pod, SocketAddr::new(pod.v6(), 80))?;
    let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", server.pid()))?;
    let wanted = format!("0::/{}/system.slice/web.service", lab.prefix());
    assert!(cgroups.lines().any(|line| line == wanted), "{cgroups}");
    let own = fs::read_link("/proc/self/ns/net")?;
    assert_ne!(
        fs::read_link(format!("/proc/{}/ns/net", server.pid()))?,
        own
    );
    Ok(())
}
