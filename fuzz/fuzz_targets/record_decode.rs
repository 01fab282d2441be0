//! Any bytes in the place of a record are a record or an error. What decodes encodes to something
//! that decodes to the same.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use parlor::store::record::{
    EventRecord, Record, RoomRecord, SessionRecord, UserRecord, decode, encode,
};

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    match kind % 4 {
        0 => check::<UserRecord>(bytes),
        1 => check::<SessionRecord>(bytes),
        2 => check::<RoomRecord>(bytes),
        _ => check::<EventRecord>(bytes),
    }
});

fn check<T: Record + Debug + PartialEq>(bytes: &[u8]) {
    if let Ok(record) = decode::<T>(bytes) {
        let encoded = encode(&record).expect("what was read can be written");
        assert!(encoded.len() <= bytes.len(), "the shortest form is the one we write");
        assert_eq!(decode::<T>(&encoded), Ok(record));
    }
}
