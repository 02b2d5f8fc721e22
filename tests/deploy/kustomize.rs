//! `deploy/kustomize` is what the chart renders, and whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{helm, read, root};

/// The manifests of a folder, by name.
fn manifests(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|one| one == "yaml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            found.insert(name.into_owned(), fs::read_to_string(&path)?);
        }
    }
    Ok(found)
}

#[test]
fn it_is_what_the_chart_renders() -> Result<()> {
    let Some(helm) = helm("it_is_what_the_chart_renders") else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let render = Command::new(root().join("deploy/kustomize/render"))
        .arg(folder.path())
        .env("HELM", helm)
        .output()?;
    let said = String::from_utf8_lossy(&render.stderr);
    assert!(render.status.success(), "{said}");
    let rendered = manifests(folder.path())?;
    let committed = manifests(&root().join("deploy/kustomize"))?;
    assert!(rendered.len() >= 5, "{:?}", rendered.keys());
    assert!(
        rendered == committed,
        "deploy/kustomize is not what the chart renders: run deploy/kustomize/render"
    );
    Ok(())
}

#[test]
fn every_manifest_is_named_and_none_is_a_secret() -> Result<()> {
    let list = read("deploy/kustomize/kustomization.yaml")?;
    for (name, text) in manifests(&root().join("deploy/kustomize"))? {
        if name != "kustomization.yaml" {
            assert!(list.contains(&format!("  - {name}\n")), "{name}");
        }
        assert!(
            !text.contains("kind: Secret"),
            "a key in a repository: {name}"
        );
    }
    Ok(())
}
