//! The little shop of `make demo`: web → api → cache, both hops through a virtual IP, one cache flaky,
//! and an agent that watches it with the demo's pipeline file.

mod trade;

use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{Lab, Node, Place, Pod, Process, http, lab_program, tapetum_program, until};

pub use trade::trade;

/// As at the virtual IP: both ends of a connection then say the same port, and stand in one line of the table.
const API_PORT: u16 = 80;
const CACHE_PORT: u16 = 6379;
/// Where config/demo.toml has the agent's health.
const ADMIN: &str = "127.0.0.1:9465";
/// How long visitors wait for the agent at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the agent may take for its last words.
const GOODBYE: Duration = Duration::from_secs(12);
/// Where a container runtime would have put the api: the name of the process stands beside this number.
const CONTAINER: &str = "7a70e7d3c1f4b5a69788f0e1d2c3b4a5968778695a4b3c2d1e0f9e8d7c6b5a49";

/// Opens the shop for `open` and shows what the agent sees of it.
///
/// # Errors
/// If the shop cannot be built or the agent fails; nothing is left behind then either.
pub fn run(open: Duration, pipelines: &Path) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let mut shop = Shop::build()?;
    let log = shop.node.dir().join("agent.log");
    let mut agent = Agent::start(&shop.node, pipelines, &log)?;
    writeln!(std::io::stderr(), "{}", shop.sign(open))?;
    // Visitors come when somebody watches: a connection from before that has little to show.
    let ready = format!("http://{ADMIN}/readyz");
    let _ = until("the agent to be ready", PATIENCE, || {
        let over = agent.0.try_wait()?.is_some() || interrupted.load(Ordering::Relaxed);
        Ok((over || http::get(&shop.node, &ready).is_ok()).then_some(()))
    });
    shop.open()?;

    let closing = Instant::now() + open;
    while Instant::now() < closing && !interrupted.load(Ordering::Relaxed) {
        if let Some(status) = agent.0.try_wait()? {
            bail!("the agent ended ({status}): {}", last_line(&log));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let status = agent.stop()?;
    if !status.success() && !interrupted.load(Ordering::Relaxed) {
        bail!("the agent ended badly ({status}): {}", last_line(&log));
    }
    Ok(())
}

struct Shop {
    // In the order in which they go.
    staff: Vec<Process>,
    web: Pod,
    node: Node,
    api: SocketAddr,
    cache: SocketAddr,
    lab: Lab,
}

impl Shop {
    fn build() -> Result<Self> {
        let mut lab = Lab::new()?;
        let node = lab.node("shop")?;
        let web = node.pod("web")?.in_cgroup("system.slice/web.service")?;
        let api = node
            .pod("api")?
            .in_cgroup(&format!("system.slice/docker-{CONTAINER}.scope"))?;
        let cache = node.pod("cache")?.in_cgroup("system.slice/cache.service")?;
        // A bare process, known by its own name.
        let flaky = node.pod("cache-flaky")?.in_cgroup("bench")?;

        let api_virtual = SocketAddr::new(lab.virtual_v4(1), 80);
        let cache_virtual = SocketAddr::new(lab.virtual_v4(2), CACHE_PORT);
        node.publish(api_virtual, &[SocketAddr::new(api.v4(), API_PORT)])?;
        let good = SocketAddr::new(cache.v4(), CACHE_PORT);
        let bad = SocketAddr::new(flaky.v4(), CACHE_PORT);
        node.publish(cache_virtual, &[good, good, good, bad])?;

        let listen = |pod: &Pod, port| SocketAddr::new(pod.v4(), port).to_string();
        let staff = vec![
            hire(&cache, "cache", &[&listen(&cache, CACHE_PORT)])?,
            hire(&flaky, "cache-flaky", &[&listen(&flaky, CACHE_PORT)])?,
            hire(
                &api,
                "api",
                &[&listen(&api, API_PORT), &cache_virtual.to_string()],
            )?,
        ];
        Ok(Self {
            staff,
            web,
            node,
            api: api_virtual,
            cache: cache_virtual,
            lab,
        })
    }

    /// Lets visitors in.
    fn open(&mut self) -> Result<()> {
        self.staff
            .push(hire(&self.web, "web", &[&self.api.to_string()])?);
        Ok(())
    }

    /// What stands above the door.
    fn sign(&self, open: Duration) -> String {
        format!(
            "A little shop is open for {} s in the namespaces {}-*: web -> api ({}) -> cache ({}), \
             and one of the caches is flaky.",
            open.as_secs(),
            self.lab.prefix(),
            self.api,
            self.cache
        )
    }
}

/// Starts one of the shop's processes under a name of its own: a name is what a person looks for.
fn hire(place: &Place, role: &str, arguments: &[&str]) -> Result<Process> {
    let program = place.dir().join(role);
    symlink(lab_program()?, &program)?;
    let mut command = place.command(&program);
    command.args(["shop", role]).args(arguments);
    place.start(role, &mut command)
}

/// The agent with the terminal for its output.
struct Agent(Child);

impl Agent {
    fn start(place: &Place, pipelines: &Path, log: &Path) -> Result<Self> {
        let mut command = place.command(tapetum_program()?);
        command
            .args(["run", "-c"])
            .arg(pipelines)
            .stderr(File::create(log)?);
        Ok(Self(command.spawn().context("cannot start the agent")?))
    }

    fn stop(&mut self) -> Result<ExitStatus> {
        // By the time Ctrl-C has come here it has reached the agent too; a second signal does no harm.
        let _ = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .output();
        let patience = Instant::now() + GOODBYE;
        while Instant::now() < patience {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("the agent does not end");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.trim_end()
        .lines()
        .next_back()
        .unwrap_or("it said nothing")
        .to_owned()
}
