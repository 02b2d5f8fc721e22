//! The scripted API server in a process of its own, so that its memory is not the agent's.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tapetum_testkit::ApiServer;

use crate::objects::{PODS, SERVICES, node, nodes, pod, replicaset, service, set, slice};

/// The argument by which this program is the server.
pub(crate) const COMMAND: &str = "serve-a-cluster";

const POD: &str = "/api/v1/pods";
/// How often changes are made.
const TICK: Duration = Duration::from_millis(10);

/// The server, as its parent sees it.
pub(crate) struct Server {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) url: String,
}

/// Serves, and does what it is told on standard input: `churn RATE SECONDS FIRST` changes pods, and
/// answers with the bytes sent and the changes made.
pub(crate) fn serve() {
    let server = ApiServer::start();
    for object in nodes() {
        server.put("/api/v1/nodes", object);
    }
    for n in 0..SERVICES {
        server.put("/apis/apps/v1/replicasets", replicaset(n));
        server.put("/api/v1/services", service(n));
        server.put("/apis/discovery.k8s.io/v1/endpointslices", slice(n));
    }
    // The chart lets the agent read ReplicaSets, and no higher.
    server.refuse("deployments", 403);
    for n in 0..PODS {
        server.put(POD, pod(n, 0));
    }
    tell(&server.url());
    for order in stdin().lines().map_while(Result::ok) {
        let numbers: Vec<u32> = order
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [rate, seconds, turn] = numbers[..] else {
            return;
        };
        let before = server.sent_bytes();
        let made = churn(&server, rate, seconds, turn);
        // A node with this name says that everything before it has been sent.
        server.put("/api/v1/nodes", node(1_000 + turn));
        thread::sleep(Duration::from_millis(500));
        tell(&format!("{} {made}", server.sent_bytes() - before));
    }
}

/// Of four changes, one makes a pod, one takes one away, and two are of no consequence.
fn churn(server: &ApiServer, rate: u32, seconds: u32, turn: u32) -> u32 {
    let begun = Instant::now();
    let whole = Duration::from_secs(u64::from(seconds));
    let mut made = 0;
    while begun.elapsed() < whole {
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        while made < due {
            let n = PODS + made / 4 + turn * 1_000_000;
            match made % 4 {
                0 => server.put(POD, pod(n, turn)),
                1 | 2 => server.put(POD, pod(made * 31 % PODS, made)),
                _ => {
                    let set = set(n);
                    let name = format!("service-{set}-6c9f7d8b5-x{n:04}");
                    server.delete(POD, &format!("team-{}", set % 40), &name);
                }
            }
            made += 1;
        }
        thread::sleep(TICK);
    }
    made
}

fn tell(line: &str) {
    let mut out = stdout();
    let told = writeln!(out, "{line}").and_then(|()| out.flush());
    told.expect("the parent reads");
}

impl Server {
    pub(crate) fn start() -> Self {
        let program = env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let orders = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut server = Self {
            child,
            orders,
            answers,
            url: String::new(),
        };
        server.url = server.answer();
        server
    }

    /// Orders changes; the answer comes when they are made.
    pub(crate) fn churn(&mut self, rate: u32, seconds: u32, turn: u32) -> (u64, u32) {
        let order = format!("churn {rate} {seconds} {turn}\n");
        let told = self.orders.write_all(order.as_bytes());
        told.expect("it reads");
        let answer = self.answer();
        let (bytes, made) = answer.split_once(' ').expect("two numbers");
        let number = "a number";
        (bytes.parse().expect(number), made.parse().expect(number))
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
