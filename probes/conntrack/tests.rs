//! Questions and answers in bytes; and the real connection tracking, where a test may ask it.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::message::{Answer, answer, ask};

/// An answer of the kernel's (6.18) to question 7: 10.0.0.1:45678 asked 10.96.0.10:80, and 10.1.2.3:8080 answers.
fn recorded() -> Vec<u8> {
    let tuple = |kind: u8, src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16| {
        let mut bytes = vec![52, 0, kind, 0x80, 20, 0, 1, 0x80];
        bytes.extend([8, 0, 1, 0]);
        bytes.extend(src);
        bytes.extend([8, 0, 2, 0]);
        bytes.extend(dst);
        bytes.extend([28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0]);
        bytes.extend(sport.to_be_bytes());
        bytes.extend([0, 0, 6, 0, 3, 0]);
        bytes.extend(dport.to_be_bytes());
        bytes.extend([0, 0]);
        bytes
    };
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 7, 0, 0, 0, 9, 9, 9, 9, 2, 0, 0, 0];
    bytes.extend(tuple(1, [10, 0, 0, 1], [10, 96, 0, 10], 45_678, 80));
    bytes.extend(tuple(2, [10, 1, 2, 3], [10, 0, 0, 1], 8_080, 45_678));
    bytes.extend([8, 0, 3, 0, 0, 0, 1, 0x8e]);
    let length = u8::try_from(bytes.len()).unwrap();
    bytes[0] = length;
    bytes
}

#[test]
fn who_asks_does_not_answer() {
    let (asker, other) = (
        "10.89.0.2:48484".parse().unwrap(),
        "10.89.0.1:6443".parse().unwrap(),
    );
    assert_eq!(super::other_than(asker, other), Some(other));
    assert_eq!(super::other_than(asker, asker), None);
}

#[test]
#[cfg(target_endian = "little")]
fn who_answers_is_the_source_of_the_reply() {
    let who: SocketAddr = "10.1.2.3:8080".parse().unwrap();
    assert_eq!(answer(&recorded(), 7), Answer::Answers(who));
    assert_eq!(
        answer(&recorded(), 8),
        Answer::Foreign,
        "an answer to another question"
    );
}

#[test]
#[cfg(target_endian = "little")]
fn an_error_is_no_connection_or_a_refusal() {
    let error = |errno: i32| {
        let mut bytes = vec![36, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend((-errno).to_le_bytes());
        bytes.extend([0; 16]);
        bytes
    };
    assert_eq!(answer(&error(2), 7), Answer::Untracked);
    assert_eq!(answer(&error(1), 7), Answer::Refused(1));
}

#[test]
fn a_question_reads_as_what_it_asks() {
    for (from, to) in [
        ("10.0.0.1:5", "10.0.0.2:80"),
        ("[fd00::1]:5", "[fd00::2]:80"),
    ] {
        let mut bytes = Vec::new();
        ask(&mut bytes, 3, from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(
            u32::from_ne_bytes(*bytes.first_chunk().unwrap()) as usize,
            bytes.len()
        );
        // Made an answer: "new" for "get", the reply's tuple for the original's.
        bytes[4] = 0;
        bytes[HEADS] = 2;
        assert_eq!(answer(&bytes, 3), Answer::Answers(from.parse().unwrap()));
    }
}

/// Where the type of the first attribute's low byte stands.
#[cfg(target_endian = "little")]
const HEADS: usize = 16 + 4 + 2;

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = answer(&bytes, 7);
    }

    #[test]
    fn no_damage_to_an_answer_is_too_strange(at in 0usize..140, to in any::<u8>(), cut in 0usize..200) {
        let mut bytes = recorded();
        let (at, whole) = (at % bytes.len(), bytes.len());
        bytes[at] = to;
        bytes.truncate(cut);
        let said = answer(&bytes, 7);
        // What is cut is no message, unless the damage is in its length.
        prop_assert!(cut >= whole || at < 4 || said == Answer::Foreign);
    }
}
