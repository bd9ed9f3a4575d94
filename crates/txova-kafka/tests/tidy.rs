//! Goal: the pages about the code fit the code, and its rooms are where a reader looks for them.
//! Method: read the files.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["crates", "xtask", "bench", "faults"] {
        sources(&root().join(folder), &mut found);
    }
    found
}

#[test]
fn every_test_that_the_architecture_page_names_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let sources = all_sources();
    let table = page.lines().filter(|line| line.starts_with("| *"));
    let names = table.flat_map(|line| line.split('`').skip(1).step_by(2)).collect::<Vec<_>>();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let exists = match name.contains('/') {
            true => sources.iter().any(|(path, _)| path.to_string_lossy().contains(name)),
            false => sources.iter().any(|(_, text)| text.contains(&format!("fn {name}("))),
        };
        assert!(exists, "ARCHITECTURE.md names `{name}`, which is nowhere");
    }
}

#[test]
fn every_source_file_that_a_page_names_exists() {
    let sources = all_sources();
    let mut named = 0;
    for page in ["ARCHITECTURE.md", "bench/README.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")) {
            named += 1;
            let exists = sources.iter().any(|(path, _)| path.ends_with(name));
            assert!(exists, "{page} names `{name}`, which is nowhere");
        }
    }
    assert!(named > 10, "only {named} files are named");
}

#[test]
fn every_file_says_first_what_it_is_for_and_none_is_called_mod() {
    for (path, text) in all_sources() {
        assert!(!path.ends_with("mod.rs"), "{}", path.display());
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//!") || first.starts_with("#![doc"), "{}: {first:?}", path.display());
    }
}
