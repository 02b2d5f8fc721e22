//! A folder of segments and a cursor of any bytes: nothing panics, nothing grows, reading comes to an end,
//! what is found is what is read or is counted as damaged, and the log works on afterwards.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tapetum_spool::record::SegmentHead;
use tapetum_spool::{Draft, Limits, Log, Meta, Opened};
use tapetum_testkit::Disk;

const LIMITS: Limits = Limits {
    segment_bytes: 1 << 16,
    durable: true,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((shape, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = Path::new("/queue/otlp");
    let disk = Disk::default();
    let (first, rest) = bytes.split_at(bytes.len() * usize::from(shape >> 4) / 16);
    let (second, cursor) = rest.split_at(rest.len().saturating_sub(64));
    for (number, part) in [first, second].into_iter().enumerate() {
        // Half of the time the header is right, so that the records are looked at.
        let mut segment = Vec::new();
        if shape & (1 << number) != 0 {
            segment.extend(SegmentHead::bytes(u64::from(shape & 12) * 8));
        }
        segment.extend(part);
        disk.put(&folder.join(format!("{:016x}.segment", number + 5)), &segment);
    }
    disk.put(&folder.join("cursor"), cursor);
    let open = || Log::open(Arc::new(disk.clone()), folder, LIMITS).expect("a log");
    let Opened { mut log, recovered } = open();
    let (mut messages, mut items) = (0, 0u64);
    loop {
        let loaded = log.load(1 << 12, 8, true).expect("a read");
        if loaded.messages.is_empty() && loaded.damaged_messages == 0 {
            break;
        }
        messages += loaded.messages.len() as u64 + loaded.damaged_messages;
        let of_messages = loaded.messages.iter().map(|one| one.meta.items);
        items = of_messages.fold(items, u64::wrapping_add);
        items = items.wrapping_add(loaded.damaged_items);
    }
    assert_eq!(messages, recovered.messages);
    assert_eq!(items, recovered.items);
    let draft = Draft {
        meta: Meta::default(),
        parts: vec![b"behind it"],
    };
    log.append(&[draft], 0).expect("a write");
    let loaded = log.load(1 << 12, 8, true).expect("a read");
    assert_eq!(&loaded.messages[0].body[..], b"behind it");
    log.settle(loaded.messages[0].position).expect("a write");
    drop(log);
    assert_eq!(open().recovered.messages, 0);
});
