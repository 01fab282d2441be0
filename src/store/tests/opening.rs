//! What is opened, and what is refused and left as it is.

use super::*;

fn open_error(directory: &TempDir) -> String {
    Writer::open(&options(directory.path()), &new_database()).unwrap_err().to_string()
}

#[test]
fn a_second_server_is_told_so() {
    let store = Store::new();
    let error = open_error(&store.directory);
    assert!(error.contains("another server is using the data directory"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_never_replaced() {
    for (content, expected) in [
        (Vec::new(), "is empty"),
        (b"hello".to_vec(), "does not begin as one"),
        (vec![0; 100_000], "does not begin as one"),
        (b"redb\x1A\x0A\xA9\x0D\x0A".to_vec(), "is not a database of this server"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(directory::DATABASE_FILE);
        std::fs::write(&path, &content).unwrap();
        let error = open_error(&directory);
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused_or_whole() {
    let mut store = Store::new();
    store.sign_up("ann", true).unwrap();
    let room = store.create_room(&["a"]).unwrap().room_id;
    for seq in 1..=200 {
        store.step(event(room, seq, None, &"x".repeat(1_000)));
    }
    let Store { directory, writer, reader, .. } = store;
    drop(reader);
    writer.close().unwrap();
    let path = directory.path().join(directory::DATABASE_FILE);
    let whole = std::fs::read(&path).unwrap();
    for tenth in 1..10 {
        let cut = &whole[..whole.len() / 10 * tenth];
        std::fs::write(&path, cut).unwrap();
        let error = open_error(&directory);
        assert!(error.contains("damaged"), "{tenth}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), cut, "not touched");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(Store::open(directory).seqs(room, PageRequest::Newest, 1).0, [200]);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let store = Store::new();
    let path = store.directory.path().join(directory::DATABASE_FILE);
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error =
        Writer::open(&options(&file.join("data")), &new_database()).unwrap_err().to_string();
    assert!(error.contains("cannot create the data directory") && error.contains("file/data"));
    let error = Writer::open(&options(&file), &new_database()).unwrap_err().to_string();
    assert!(error.contains("file"), "{error}");
}

/// A copy of a stopped database was taken for the database itself: seqs that others had heard since
/// were given again.
#[test]
fn a_copy_put_back_has_another_name_and_its_seqs_jump() {
    let mut store = Store::new();
    let room = store.create_room(&["a"]).unwrap().room_id;
    store.step(event(room, 1, None, "kept"));
    let Store { directory, writer, reader, .. } = store;
    drop(reader);
    writer.close().unwrap();
    let path = directory.path().join(directory::DATABASE_FILE);
    let copy = std::fs::read(&path).unwrap();

    // The same database goes on, stops or crashes, and the copy is put in its place.
    for clean in [true, false] {
        let mut store = Store::open(tempfile::tempdir().unwrap());
        let directory = store.directory.path().to_owned();
        store.step(event(room, 2, None, "only here"));
        let Store { directory: own, writer, reader, .. } = store;
        drop(reader);
        if clean {
            writer.close().unwrap();
        } else {
            drop(writer);
        }
        std::fs::write(directory.join(directory::DATABASE_FILE), &copy).unwrap();
        let new = NewDatabase { log: LogId(43), ..new_database() };
        let (writer, reader, opened) = Writer::open(&options(&directory), &new).unwrap();
        assert_eq!((opened.restored, opened.clean), (true, false));
        assert_eq!((opened.log, opened.boot), (LogId(43), 1));
        drop((writer, reader, own));
    }

    // Where nothing has happened since, it is the database itself.
    std::fs::write(&path, &copy).unwrap();
    let store = Store::open(directory);
    assert_eq!((store.opened.restored, store.opened.clean), (false, true));
    assert_eq!(store.opened.log, LogId(42));
}
