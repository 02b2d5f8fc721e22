//! The chart: one pipeline file, no value that is ignored, no privilege that is not argued for.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::{helm, program, read, root, template};

/// Its documents, without empty ones.
fn documents(rendered: &str) -> Vec<&str> {
    let documents = rendered.split("\n---").map(str::trim);
    documents.filter(|one| one.contains("kind:")).collect()
}

fn of_kind<'a>(rendered: &'a str, kind: &str) -> Result<&'a str> {
    let line = format!("\nkind: {kind}\n");
    documents(rendered)
        .into_iter()
        .find(|document| document.contains(&line))
        .with_context(|| format!("no {kind} is rendered"))
}

/// What stands behind a key, at each place where the key stands.
fn values<'a>(document: &'a str, key: &str) -> Vec<&'a str> {
    let lines = document
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values.collect()
}

#[test]
fn the_charts_file_is_the_one_that_ships() -> Result<()> {
    let (chart, shipped) = (
        read("deploy/helm/tapetum/files/agent.toml")?,
        read("config/agent.toml")?,
    );
    assert!(
        chart == shipped,
        "cp config/agent.toml deploy/helm/tapetum/files/agent.toml"
    );
    Ok(())
}

#[test]
fn chart_and_program_have_one_version() -> Result<()> {
    let manifest: toml::Table = read("Cargo.toml")?.parse()?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    let version = version.context("the workspace has a version")?;
    let chart = read("deploy/helm/tapetum/Chart.yaml")?;
    assert_eq!(values(&chart, "version"), [version]);
    assert_eq!(values(&chart, "appVersion"), [version]);
    Ok(())
}

#[test]
fn helm_finds_nothing_wrong() -> Result<()> {
    let Some(helm) = helm("helm_finds_nothing_wrong") else {
        return Ok(());
    };
    let lint = Command::new(&helm)
        .args(["lint", "--strict", "deploy/helm/tapetum"])
        .current_dir(root())
        .output()?;
    let said = String::from_utf8(lint.stdout)?;
    assert!(lint.status.success(), "{said}");
    Ok(())
}

#[test]
fn defaults_render_and_what_is_no_value_is_refused() -> Result<()> {
    let Some(helm) = helm("defaults_render_and_what_is_no_value_is_refused") else {
        return Ok(());
    };
    let rendered = template(&helm, &[])?.expect("the defaults render");
    let kinds: Vec<_> = values(&rendered, "kind");
    for kind in [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Secret",
        "DaemonSet",
    ] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
    assert!(!kinds.contains(&"PodMonitor"), "nobody asked for one");
    for (set, said) in [
        ("podMonitr.enabled=true", "podMonitr"),
        ("podMonitor.enable=true", "enable"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("ports.admin=0", "admin"),
        ("persistence.hostPath=relative", "hostPath"),
        ("seccompProfile.type=None", "seccompProfile"),
        (
            "gateway.enabled=true",
            "gateway.enabled: this chart has no gateway",
        ),
    ] {
        let refusal = template(&helm, &[set])?.expect_err(set);
        assert!(refusal.contains(said), "{set}: {refusal}");
    }
    Ok(())
}

/// What the judge of manifests says: the kinds that it found, or what is wrong with them.
fn strictly(judge: &Path, manifests: &str) -> Result<Result<String, String>> {
    let mut child = Command::new(judge)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut pipe = child.stdin.take().context("a pipe")?;
    pipe.write_all(manifests.as_bytes())?;
    drop(pipe);
    let output = child.wait_with_output()?;
    Ok(if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(String::from_utf8(output.stderr)?)
    })
}

#[test]
fn manifests_have_only_fields_of_their_kinds() -> Result<()> {
    let test = "manifests_have_only_fields_of_their_kinds";
    let (Some(helm), Some(judge)) = (helm(test), program(test, "strict")) else {
        return Ok(());
    };
    let chosen = [
        "persistence.enabled=true",
        "priorityClassName=p",
        "imagePullSecrets[0].name=s",
        "seLinuxOptions.type=spc_t",
    ];
    for sets in [&[][..], &chosen] {
        let rendered = template(&helm, sets)?.expect("it renders");
        let kinds = strictly(&judge, &rendered)?.expect("no unknown field");
        assert_eq!(kinds.lines().count(), 6, "{kinds}");
        let misspelt = rendered.replace("hostPID:", "hostPid:");
        let refusal = strictly(&judge, &misspelt)?.expect_err("the judge judges");
        assert!(refusal.contains("hostPid"), "{refusal}");
    }
    Ok(())
}

#[test]
fn what_is_asked_for_is_rendered() -> Result<()> {
    let Some(helm) = helm("what_is_asked_for_is_rendered") else {
        return Ok(());
    };
    let plain = template(&helm, &[])?.expect("the defaults render");
    let with =
        |sets: &[&str]| -> Result<String> { Ok(template(&helm, sets)?.expect("it renders")) };

    let agent = of_kind(&plain, "DaemonSet")?;
    for name in ["NODE_NAME", "POD_NAME", "TRACE_KEY"] {
        let named = values(agent, "name").into_iter().filter(|one| *one == name);
        assert_eq!(
            named.count(),
            2,
            "{name}: of the agent and of what validates"
        );
    }
    assert_eq!(values(agent, "args"), ["[validate]", "[run]"]);
    assert_eq!(values(agent, "host"), ["127.0.0.1"; 3], "a probe");
    assert!(
        !agent.contains("name: ADMIN"),
        "own metrics are for the node only"
    );

    // Another file is another pod, so an upgrade takes effect.
    let sum = |rendered: &str| -> Result<String> {
        let agent = of_kind(rendered, "DaemonSet")?;
        Ok(values(agent, "checksum/config").concat())
    };
    let other = with(&["config=[service]"])?;
    assert!(of_kind(&other, "ConfigMap")?.ends_with("[service]"));
    assert_ne!(sum(&plain)?, sum(&other)?);

    let monitored = with(&["podMonitor.enabled=true"])?;
    assert_eq!(
        values(of_kind(&monitored, "PodMonitor")?, "port"),
        ["metrics", "admin"]
    );
    assert!(of_kind(&monitored, "DaemonSet")?.contains("value: 0.0.0.0:9465"));

    let keyed = with(&["traceKey.existingSecret=mine"])?;
    assert!(of_kind(&keyed, "Secret").is_err(), "it is there already");
    assert!(of_kind(&keyed, "DaemonSet")?.contains("name: mine"));

    let set = [
        "extraEnv[0].name=OTLP_ENDPOINT",
        "extraEnv[0].value=http://c:4317",
        "priorityClassName=system-node-critical",
        "image.repository=r.example/t",
        "image.tag=v9",
    ];
    let chosen = with(&set)?;
    let agent = of_kind(&chosen, "DaemonSet")?;
    assert_eq!(values(agent, "image"), ["r.example/t:v9"; 2]);
    assert_eq!(
        values(agent, "priorityClassName"),
        ["\"system-node-critical\""]
    );
    assert_eq!(agent.matches("value: http://c:4317").count(), 2);
    Ok(())
}

#[test]
fn no_privilege_beyond_those_that_are_argued_for() -> Result<()> {
    let Some(helm) = helm("no_privilege_beyond_those_that_are_argued_for") else {
        return Ok(());
    };
    for sets in [
        &[][..],
        &["persistence.enabled=true", "podMonitor.enabled=true"],
    ] {
        let rendered = template(&helm, sets)?.expect("it renders");
        let agent = of_kind(&rendered, "DaemonSet")?;
        assert_eq!(values(agent, "privileged"), ["false"]);
        assert_eq!(values(agent, "allowPrivilegeEscalation"), ["false"; 2]);
        assert_eq!(values(agent, "readOnlyRootFilesystem"), ["true"; 2]);
        assert_eq!(values(agent, "drop"), ["[ALL]"; 2]);
        assert_eq!(values(agent, "add"), ["[BPF, PERFMON, NET_ADMIN]"]);
        assert_eq!(values(agent, "hostNetwork"), ["true"]);
        assert_eq!(values(agent, "hostPID"), ["true"]);
        for never in [
            "SYS_ADMIN",
            "hostIPC",
            "procMount",
            "docker.sock",
            "containerd",
        ] {
            assert!(!rendered.contains(never), "{never}");
        }
        // The node's files: one folder to read, and one to write if it was asked for.
        let host_paths = agent.matches("hostPath:").count();
        let writable = agent.matches("mountPath:").count() - values(agent, "readOnly").len();
        let data = usize::from(!sets.is_empty());
        assert_eq!((host_paths, writable), (1 + data, data));
        assert!(agent.contains("path: /sys/fs/cgroup"));

        let role = of_kind(&rendered, "ClusterRole")?;
        assert_eq!(
            values(role, "verbs"),
            ["[list, watch]", "[get]", "[list, watch]", "[get]", "[get]"]
        );
        assert!(!role.contains("secrets") && !role.contains('*'), "{role}");
    }
    Ok(())
}

#[test]
fn the_limit_covers_the_files_budget() -> Result<()> {
    // Both in MiB: the file's `memory`, the pod's limit.
    let number = |text: &str| -> Option<u32> {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let file: toml::Table = read("config/agent.toml")?.parse()?;
    let budget = file["service"]["memory"].as_str().context("a budget")?;
    assert!(budget.ends_with("MiB"), "{budget}");
    let chosen = read("deploy/helm/tapetum/values.yaml")?;
    let limit = values(&chosen, "memory");
    let limit = limit.last().context("a limit")?;
    assert!(limit.ends_with("Mi"), "{limit}");
    assert!(number(limit) > number(budget), "{limit} for {budget}");
    Ok(())
}

#[test]
fn every_value_is_in_the_schema_and_described() -> Result<()> {
    let schema: serde_json::Value =
        serde_json::from_str(&read("deploy/helm/tapetum/values.schema.json")?)?;
    let known = schema["properties"].as_object().context("properties")?;
    let chosen = read("deploy/helm/tapetum/values.yaml")?;
    let keys: Vec<_> = chosen
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    for key in &keys {
        assert!(known.contains_key(*key), "{key} is not in the schema");
    }
    for key in known.keys().filter(|key| *key != "global") {
        assert!(keys.contains(&key.as_str()), "{key} has no default");
    }
    // Contract: what scripts of operators set.
    for key in [
        "image",
        "config",
        "extraEnv",
        "resources",
        "tolerations",
        "nodeSelector",
        "priorityClassName",
        "persistence",
        "podMonitor",
        "gateway",
    ] {
        assert!(keys.contains(&key), "{key}");
    }
    let templates = fs::read_dir(root().join("deploy/helm/tapetum/templates"))?;
    let mut used = String::new();
    for file in templates {
        used += &fs::read_to_string(file?.path())?;
    }
    for key in keys {
        assert!(
            used.contains(&format!(".Values.{key}")),
            "nobody uses {key}"
        );
    }
    Ok(())
}
