//! Compiles the BPF programs with clang into `OUT_DIR`, where the probes embed them.
//!
//! `BPF_CLANG` names the compiler; otherwise `clang-14`, then `clang`. The debug information that
//! only a person would read is stripped where an llvm-strip is found; the type information (BTF) that
//! the loader relocates by stays.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs};

const PROGRAMS: [&str; 1] = ["tcp"];

fn main() {
    let source = PathBuf::from(required("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(required("OUT_DIR"));
    println!("cargo::rerun-if-env-changed=BPF_CLANG");
    println!("cargo::rerun-if-changed=include");
    let clang = clang();
    for program in PROGRAMS {
        println!("cargo::rerun-if-changed={program}");
        let object = out.join(format!("{program}.o"));
        compile(&clang, &source, program, &object);
        strip(&object);
    }
}

fn compile(clang: &str, source: &Path, program: &str, object: &Path) {
    let include = source.join("include");
    let mut command = Command::new(clang);
    command
        .args([
            "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror",
        ])
        .arg("-Wno-unused-parameter") // BPF_PROG's context
        .arg(format!("-D__TARGET_ARCH_{}", kernel_arch()))
        .arg("-I")
        .arg(&include);
    // Debian keeps <asm/types.h> in the multiarch folder, which clang does not search for BPF.
    let multiarch = format!(
        "/usr/include/{}-linux-gnu",
        required("CARGO_CFG_TARGET_ARCH")
    );
    if Path::new(&multiarch).is_dir() {
        command.arg("-idirafter").arg(multiarch);
    }
    command
        .arg("-c")
        .arg(source.join(program).join("probe.bpf.c"))
        .arg("-o")
        .arg(object);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => stop(&format!("{clang} could not be run: {error}")),
    };
    if output.status.success() {
        return;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("bpf/bpf_helpers.h") && said.contains("not found") {
        stop("libbpf's headers are missing: install Debian's package `libbpf-dev`");
    }
    eprintln!("{said}");
    stop(&format!("{clang} could not compile {program}/probe.bpf.c"));
}

fn strip(object: &Path) {
    let unstripped = fs::read(object);
    let stripped = ["llvm-strip-14", "llvm-strip"].iter().any(|strip| {
        Command::new(strip)
            .arg("-g")
            .arg(object)
            .output()
            .is_ok_and(|o| o.status.success())
    });
    // A strip that failed half-way must not cost the object.
    if let (false, Ok(bytes)) = (stripped, unstripped)
        && let Err(error) = fs::write(object, bytes)
    {
        stop(&format!(
            "{} could not be written: {error}",
            object.display()
        ));
    }
}

fn clang() -> String {
    let runs = |name: &str| {
        Command::new(name)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    match env::var("BPF_CLANG") {
        Ok(named) if runs(&named) => named,
        Ok(named) if !named.is_empty() => stop(&format!(
            "BPF_CLANG is {named}, which does not run: name a clang, or unset it"
        )),
        _ => match ["clang-14", "clang"].into_iter().find(|name| runs(name)) {
            Some(found) => found.to_string(),
            None => stop(
                "no clang was found to compile the BPF programs: install Debian's package \
                 `clang-14`, or name one in BPF_CLANG",
            ),
        },
    }
}

/// The kernel's name of the architecture, as libbpf's headers want it.
fn kernel_arch() -> &'static str {
    match required("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        "riscv64" => "riscv",
        "s390x" => "s390",
        "powerpc64" => "powerpc",
        other => stop(&format!(
            "no BPF programs are written for {other}: build for x86_64 or aarch64"
        )),
    }
}

fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| stop(&format!("{name} is not set: build with cargo")))
}

fn stop(why: &str) -> ! {
    println!("cargo::error={why}");
    exit(1)
}
