//! Where a process of the lab runs: a network namespace and a cgroup. And the process itself.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cgroup,
    namespace::{Namespace, run},
    topology::Site,
};

/// Enters the cgroup `$1` and the namespace `$2` and becomes the rest.
const ENTER: &str =
    r#"echo $$ >"$1/cgroup.procs" && net=$2 && shift 2 && exec nsenter --net="$net" -- "$@""#;

/// A network namespace and a cgroup that processes can be started in.
#[derive(Clone, Debug)]
pub struct Place {
    // Keeps the lab standing for as long as anyone can start something in it.
    site: Arc<Site>,
    namespace: Namespace,
    cgroup: PathBuf,
}

impl Place {
    pub(crate) fn new(site: &Arc<Site>, namespace: &Namespace, cgroup: &str) -> Result<Self> {
        let cgroup = site.cgroup.join(cgroup);
        cgroup::create(&cgroup)?;
        Ok(Self {
            site: Arc::clone(site),
            namespace: namespace.clone(),
            cgroup,
        })
    }

    /// The same namespace with another cgroup, by its path below the lab's own.
    ///
    /// # Errors
    /// If the cgroup cannot be made.
    pub fn with_cgroup(&self, path: &str) -> Result<Self> {
        Self::new(&self.site, &self.namespace, path)
    }

    /// The full path of the cgroup.
    #[must_use]
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// A folder that goes away with the lab.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.site.dir
    }

    /// A command that will run in this place: in the cgroup first, so that the very first socket is
    /// born there, then in the namespace; the program keeps the number of the process.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", ENTER, "sh"])
            .arg(&self.cgroup)
            .arg(self.namespace.path())
            .arg(program.as_ref());
        command
    }

    /// Runs a program to its end and gives back its standard output.
    ///
    /// # Errors
    /// If it does not start or does not succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        run(self.command(program).args(arguments), "")
    }

    /// Starts a program that goes on; what it prints goes to files in the lab's folder.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, name: &str, command: &mut Command) -> Result<Process> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let output = self.site.dir.join(format!("{name}-{serial}.out"));
        let errors = self.site.dir.join(format!("{name}-{serial}.err"));
        let child = command
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Process {
            name: name.to_owned(),
            child,
            output,
            errors,
            _site: Arc::clone(&self.site),
        })
    }

    /// Runs an nftables script in the namespace.
    ///
    /// # Errors
    /// If nft refuses it.
    pub fn nft(&self, script: &str) -> Result<String> {
        self.namespace.nft(script)
    }

    /// Sets sysctls of the namespace: `net/ipv4/tcp_syn_retries=1`.
    ///
    /// # Errors
    /// If the kernel refuses one.
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        self.namespace.sysctl(settings)
    }

    /// Runs `ip` commands in the namespace, one a line.
    ///
    /// # Errors
    /// If one fails.
    pub fn ip(&self, lines: &str) -> Result<()> {
        self.namespace.ip(lines)
    }
}

/// A running program; it ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    errors: PathBuf,
    _site: Arc<Site>,
}

impl Process {
    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, if it was piped.
    pub(crate) fn stdin(&mut self) -> Option<&mut std::process::ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// What it printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// What it logged so far.
    #[must_use]
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// If the process cannot be asked.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal by name: `TERM`, `KILL`.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn signal(&self, signal: &str) -> Result<()> {
        run(
            Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]),
            "",
        )
        .map(drop)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it goes on for longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let give_up = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > give_up {
                bail!(
                    "{} still runs after {patience:?}: {}",
                    self.name,
                    self.errors()
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.errors();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            for line in tail.iter().rev() {
                eprintln!("{}: {line}", self.name);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
///
/// # Errors
/// With the name of what was waited for, if there is none within `patience`.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > give_up {
            bail!("waited {patience:?} in vain for {what}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}
