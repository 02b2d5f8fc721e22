//! Lines are whole, files are bounded, a full disk is said.

use std::fs;
use std::io;
use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use tapetum_pipeline::{Encode, Encoded, Export, Exporter, Outcome};
use tapetum_testkit::{context, contract, sample, settings};

use super::append::Place;
use super::{COMPONENT, build};

fn exporter(path: &Path, max_size: &str, keep: u32) -> (Box<dyn Encode>, Box<dyn Export>) {
    let path = path.display();
    let text =
        format!("path = \"{path}\"\nmax_size = \"{max_size}\"\nkeep = {keep}\ncommunity_id = true");
    match build(&settings(&text), &context("file")) {
        Ok(Exporter::Push { encode, export }) => (encode, export),
        Ok(Exporter::Pull(_)) => panic!("it is sent to"),
        Err(why) => panic!("{why}"),
    }
}

async fn send(exporter: &mut (Box<dyn Encode>, Box<dyn Export>), rows: usize) -> Vec<Encoded> {
    let (messages, _) = contract::encode(&mut *exporter.0, &sample::connections(rows));
    for message in &messages {
        let outcome = exporter.1.export(message.clone()).await;
        assert!(
            matches!(outcome, Outcome::Ok { rejected: 0, .. }),
            "{outcome:?}"
        );
    }
    messages
}

fn spans_in(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| {
        let data: TracesData = serde_json::from_str(line).expect("a line is a message");
        let scopes = data
            .resource_spans
            .into_iter()
            .flat_map(|of| of.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum::<usize>()
    });
    lines.sum()
}

#[tokio::test]
async fn a_message_is_a_line_and_a_restart_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spans.jsonl");
    send(&mut exporter(&path, "1MiB", 1), 32).await;
    send(&mut exporter(&path, "1MiB", 1), 16).await;
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains("flow.community_id"));
    assert_eq!(spans_in(&path), 45);
}

#[tokio::test]
async fn a_line_that_a_crash_cut_off_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spans.jsonl");
    fs::write(&path, "{\"resourceSpa").unwrap();
    let messages = send(&mut exporter(&path, "1MiB", 1), 4).await;
    let text = fs::read(&path).unwrap();
    assert_eq!(
        text,
        [b"{\"resourceSpa\n", &messages[0].bytes.contiguous()[..]].concat()
    );
}

#[tokio::test]
async fn files_are_renamed_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spans.jsonl");
    for (keep, expected) in [(2, 3), (0, 1)] {
        let mut exporter = exporter(&path, "50KiB", keep);
        for _ in 0..12 {
            send(&mut exporter, 8).await;
        }
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .collect();
        assert_eq!(names.len(), expected, "{names:?}");
        for entry in names {
            assert!(entry.metadata().unwrap().len() <= 50 << 10, "{entry:?}");
            assert!(spans_in(&entry.path()) > 0, "{entry:?}");
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_out_and_said() {
    let mut full = exporter(Path::new("/dev/full"), "1MiB", 0);
    let (messages, _) = contract::encode(&mut *full.0, &sample::connections(1));
    let outcome = full.1.export(messages[0].clone()).await;
    assert!(
        matches!(&outcome, Outcome::Retryable { message, .. } if message.starts_with("the disk of /dev/full is full: make room")),
        "{outcome:?}"
    );
}

#[test]
fn a_file_that_cannot_be_opened_is_named_before_anything_starts() {
    let text =
        "path = \"/nonexistent/spans.jsonl\"\nmax_size = \"1MiB\"\nkeep = 0\ncommunity_id = false";
    let why = build(&settings(text), &context("file")).err();
    let why = why.expect("there is no such folder").to_string();
    assert!(
        why.starts_with("cannot write /nonexistent/spans.jsonl: No such file"),
        "{why}"
    );
}

#[test]
fn standard_output_that_is_closed_is_an_error_and_no_panic() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = Place::Stream(Box::new(Closed)).append(b"x\n").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_size_of_nothing_is_a_problem() {
    let check = |text: &str| (COMPONENT.check)(&settings(text)).len();
    assert_eq!(
        check("path = \"/a\"\nmax_size = \"0B\"\nkeep = 1\ncommunity_id = false"),
        1
    );
    assert_eq!(
        check("path = \"/a\"\nmax_size = \"1KiB\"\nkeep = 0\ncommunity_id = false"),
        0
    );
}
