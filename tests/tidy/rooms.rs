//! Which room may know which, and that every component is listed and described.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{files_ending, judge, root, text};

const KINDS: [&str; 3] = ["receivers", "processors", "exporters"];

/// What each package may know; its tests know the testkit too.
fn allowed(package: &str) -> Option<&'static [&'static str]> {
    Some(match package {
        "tapetum-model" | "tapetum-probes" | "tapetum-spool" => &[],
        "tapetum-otlp" | "tapetum-k8s" => &["tapetum-model"],
        "tapetum-pipeline" => &["tapetum-model", "tapetum-spool"],
        "tapetum-config" => &["tapetum-model", "tapetum-pipeline"],
        "tapetum-tls" => &["tapetum-pipeline"],
        "tapetum-testkit" => &["tapetum-model", "tapetum-pipeline", "tapetum-spool"],
        "tapetum-processors" => &[
            "tapetum-model",
            "tapetum-pipeline",
            "tapetum-otlp",
            "tapetum-k8s",
        ],
        "tapetum-exporters" => &[
            "tapetum-model",
            "tapetum-pipeline",
            "tapetum-otlp",
            "tapetum-k8s",
            "tapetum-tls",
        ],
        "tapetum-receivers" => &[
            "tapetum-model",
            "tapetum-pipeline",
            "tapetum-otlp",
            "tapetum-k8s",
            "tapetum-tls",
            "tapetum-probes",
        ],
        _ => return None,
    })
}

/// Packages that know the whole program on purpose.
fn is_outside(manifest: &Path) -> bool {
    manifest == Path::new("Cargo.toml")
        || ["tests", "benches"]
            .iter()
            .any(|folder| manifest.starts_with(folder))
        || is_fuzz(manifest)
}

/// Fuzzing needs a nightly compiler: such a package is its own workspace beside what it fuzzes.
fn is_fuzz(manifest: &Path) -> bool {
    manifest
        .parent()
        .is_some_and(|folder| folder.ends_with("fuzz"))
}

fn is_testkit(name: &str) -> bool {
    name == "tapetum-testkit"
}

#[test]
fn arrows_between_crates_only_point_down() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for manifest in files_ending("toml") {
        if !manifest.ends_with("Cargo.toml") {
            continue;
        }
        let table: toml::Table = text(&manifest).parse().expect("a manifest");
        let Some(package) = table
            .get("package")
            .and_then(|package| package["name"].as_str())
        else {
            continue;
        };
        seen += 1;
        let keys = |section: &str| -> BTreeSet<String> {
            let section = table.get(section).and_then(toml::Value::as_table);
            let keys = section.into_iter().flat_map(|section| section.keys());
            keys.filter(|key| key.starts_with("tapetum"))
                .cloned()
                .collect()
        };
        let mut needs = keys("dependencies");
        needs.extend(keys("build-dependencies"));
        let mut tests_need = keys("dev-dependencies");
        tests_need.retain(|need| !is_testkit(need));
        match allowed(package) {
            Some(allowed) => wrong.extend(
                needs
                    .iter()
                    .chain(&tests_need)
                    .filter(|need| !allowed.contains(&need.as_str()))
                    .map(|need| format!("{package} may not know {need}")),
            ),
            None if is_outside(&manifest) => {}
            None => wrong.push(format!("{package} has no place in the rules of this test")),
        }
        let is_test = manifest.starts_with("tests") || is_fuzz(&manifest);
        if needs.iter().any(|need| is_testkit(need)) && !is_test {
            wrong.push(format!("{package} needs the testkit outside its tests"));
        }
    }
    assert!(seen >= 7, "the manifests of the workspace were not found");
    judge("arrows only point down", &wrong);
}

/// Libraries that only some rooms may name, and these rooms: who loads programs into the kernel is
/// beside them, and an error without a type ends at the composition root.
const OWNED: [(&str, &[&str]); 4] = [
    ("aya", &["probes", "tests", "benches"]),
    ("libbpf", &["probes", "tests", "benches"]),
    ("anyhow", &["Cargo.toml", "tests", "benches"]),
    ("clap", &["Cargo.toml", "tests", "benches"]),
];

#[test]
fn libraries_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for manifest in files_ending("toml") {
        if !manifest.ends_with("Cargo.toml") || is_fuzz(&manifest) {
            continue;
        }
        let table: toml::Table = text(&manifest).parse().expect("a manifest");
        for section in ["dependencies", "build-dependencies"] {
            let needs = table.get(section).and_then(toml::Value::as_table);
            for need in needs.into_iter().flat_map(|needs| needs.keys()) {
                for (library, rooms) in OWNED {
                    let is_here = rooms.iter().any(|room| manifest.starts_with(room));
                    if need.starts_with(library) && !is_here {
                        wrong.push(format!("{} may not know {need}", manifest.display()));
                    }
                }
            }
        }
    }
    judge("libraries stay in their rooms", &wrong);
}

#[test]
fn every_manifest_takes_the_workspaces_lints_and_versions() {
    let mut wrong = Vec::new();
    for manifest in files_ending("toml") {
        if !manifest.ends_with("Cargo.toml") || is_fuzz(&manifest) {
            continue;
        }
        let table: toml::Table = text(&manifest).parse().expect("a manifest");
        let name = manifest.display();
        let inherits = table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        let own_unsafe = ["probes", "tests", "benches"]
            .iter()
            .any(|one| manifest.starts_with(one));
        if inherits != Some(true) && !(own_unsafe && table.contains_key("lints")) {
            wrong.push(format!("{name}: [lints] workspace = true is missing"));
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let section = table.get(section).and_then(toml::Value::as_table);
            for (key, value) in section.into_iter().flatten() {
                if value.get("workspace").is_none() {
                    wrong.push(format!("{name}: `{key}` has a version of its own"));
                }
            }
        }
    }
    judge("one version table, one set of lints", &wrong);
}

/// The folders of a kind that are components: a folder with what only a component has, or that
/// says it is one. What several components of a kind share has neither.
fn components(kind: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(kind)) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let says = fs::read_to_string(entry.path().join("mod.rs"));
            let has = |file: &str| entry.path().join(file).exists();
            says.is_ok_and(|text| text.contains("static COMPONENT"))
                || has("README.md")
                || has("config.rs")
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_component_is_listed_by_its_kind() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for kind in KINDS {
        if !root().join(kind).exists() {
            continue;
        }
        let list = text(&Path::new(kind).join("lib.rs"));
        for name in components(kind) {
            seen += 1;
            for line in [format!("mod {name};"), format!("&{name}::COMPONENT")] {
                if !list.contains(&line) {
                    wrong.push(format!("{kind}/lib.rs lacks `{line}`"));
                }
            }
        }
    }
    assert!(seen >= 1, "no component was found");
    judge(
        "a component is its folder and two lines in its kind's lib.rs",
        &wrong,
    );
}

#[test]
fn every_component_has_the_same_files_and_a_readme() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        for name in components(kind) {
            let folder = Path::new(kind).join(&name);
            for file in ["README.md", "mod.rs", "config.rs"] {
                if !root().join(&folder).join(file).exists() {
                    wrong.push(format!("{} lacks {file}", folder.display()));
                }
            }
            let description = fs::read_to_string(root().join(&folder).join("mod.rs"));
            let key = format!("name: \"{name}\",");
            if !description.is_ok_and(|text| text.contains(&key)) {
                wrong.push(format!(
                    "{} is not called like its folder",
                    folder.display()
                ));
            }
            if !["tests.rs", "tests"]
                .iter()
                .any(|one| root().join(&folder).join(one).exists())
            {
                wrong.push(format!("{} has no tests", folder.display()));
            }
            if !root().join(&folder).join("README.md").exists() {
                continue;
            }
            let readme = text(&folder.join("README.md"));
            let example = format!("[{kind}.{name}]");
            for part in [
                "## Configuration",
                "## Metrics",
                "## Limits",
                "```toml",
                &example,
            ] {
                if !readme.contains(part) {
                    wrong.push(format!("{}/README.md lacks {part}", folder.display()));
                }
            }
        }
    }
    judge("every component is described in the same way", &wrong);
}

#[test]
fn every_probe_has_its_files() {
    let mut wrong = Vec::new();
    let probes = fs::read_dir(root().join("probes")).into_iter().flatten();
    for folder in probes.filter_map(Result::ok).map(|entry| entry.path()) {
        if !folder.join("probe.bpf.c").exists() {
            continue;
        }
        for file in ["README.md", "mod.rs"] {
            if !folder.join(file).exists() {
                wrong.push(format!("{} lacks {file}", folder.display()));
            }
        }
    }
    judge("one folder a probe", &wrong);
}
