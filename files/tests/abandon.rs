//! An end without destructors. Alone in its program: what is abandoned is the whole process's.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use unisono_files::{Pending, abandon, folder_beside, place_folder};

#[test]
fn what_is_not_in_place_is_deleted_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for text in ["old", "new"] {
        let folder = folder_beside(&at("placed")).unwrap();
        fs::write(folder.path().join("f"), text).unwrap();
        place_folder(folder, &at("placed")).unwrap();
    }
    Pending::write(&at("whole"), |w| w.write_all(b"x")).unwrap().place().unwrap();
    let half = Pending::write(&at("half"), |w| w.write_all(b"x")).unwrap();
    let folder = folder_beside(&at("folder")).unwrap();
    fs::write(folder.path().join("f"), "x").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    abandon();
    let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["placed", "whole"]);
    assert_eq!(fs::read_to_string(at("placed").join("f")).unwrap(), "new");
    drop((half, folder));
}
