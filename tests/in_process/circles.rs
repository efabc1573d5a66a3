//! Files and folders of `src` import each other in no circle, so that each can be read before those that
//! use it. What a file takes from the folder that it is in (`mod.rs`) is no import: the two are one thing.

use crate::tidy::sources;
use std::collections::{BTreeMap, BTreeSet};

type Module = Vec<String>;
type Imports<M> = BTreeMap<M, BTreeSet<M>>;

/// The module of a file below `src`.
fn module(path: &std::path::Path) -> Module {
    let path = path.with_extension("");
    let mut parts: Module =
        path.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// The paths of a `use`: `a::{b, c::{d, e}}` has three.
fn expand(tree: &str) -> Vec<String> {
    let Some((before, list)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let list = list.trim_end().strip_suffix('}').unwrap_or(list);
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in list.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => items.push(String::new()),
            _ => items.last_mut().unwrap().push(c),
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items.iter().flat_map(|item| expand(&format!("{}{}", before.trim(), item.trim()))).collect()
}

/// All paths in a file, of its `use` statements and elsewhere.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let words = line.trim_start();
        let is_use =
            words.starts_with("use ") || words.starts_with("pub") && words.contains(" use ");
        if is_use {
            let mut tree = line.split_once("use ").unwrap().1.to_owned();
            while !tree.ends_with(';') {
                tree += lines.next().expect("a `use` without its end");
            }
            found.extend(expand(tree.trim_end_matches(';')));
        } else {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let words = line.split(|c| !is_part(c)).filter(|word| word.contains("::"));
            found.extend(words.map(str::to_owned));
        }
    }
    found
}

/// The module that a path of a file leads into.
fn target(path: &str, from: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut words: Vec<String> = path.split("::").map(str::to_owned).collect();
    let mut base = from.clone();
    match words.first()?.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            while words.get(1).is_some_and(|word| word == "super") {
                words.remove(0);
                base.pop();
            }
            base.pop();
        }
        own => {
            base.push(own.to_owned());
            if !modules.contains(&base) {
                return None;
            }
        }
    }
    base.extend(words.into_iter().skip(1));
    while !base.is_empty() && !modules.contains(&base) {
        base.pop();
    }
    (!base.is_empty() && !from.starts_with(&base)).then_some(base)
}

/// Which file imports which.
fn imports() -> Imports<Module> {
    let files: Vec<_> = sources()
        .into_iter()
        .map(|source| (module(&source.path), source.code))
        .filter(|(module, _)| !["lib", "main"].contains(&module[0].as_str()))
        .collect();
    let modules: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let of = |(file, code): (Module, String)| {
        let found = paths(&code).iter().filter_map(|path| target(path, &file, &modules)).collect();
        (file, found)
    };
    files.into_iter().map(of).collect()
}

/// What is left when those that import nothing left are taken away, and those that nothing left imports.
fn circles<M: Ord + Clone>(mut imports: Imports<M>) -> Vec<M> {
    loop {
        let left: BTreeSet<M> = imports.keys().cloned().collect();
        let imported: BTreeSet<M> = imports.values().flatten().cloned().collect();
        imports.retain(|module, of| {
            of.retain(|one| left.contains(one));
            !of.is_empty() && imported.contains(module)
        });
        if imports.len() == left.len() {
            return imports.into_keys().collect();
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports();
    assert!(imports.values().flatten().count() > 500, "the imports are not found any more");
    let circles: Vec<_> = circles(imports).iter().map(|module| module.join("::")).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_folders_import_each_other_in_a_circle() {
    let files = imports();
    // The folder of `a/mod.rs` is `a`, as that of `a/b.rs` is.
    let has_files = |file: &Module| {
        files.keys().any(|other| other.len() > file.len() && other.starts_with(file))
    };
    let folder = |file: &Module| match has_files(file) {
        true => file.clone(),
        false => file[..file.len() - 1].to_vec(),
    };
    let mut folders: Imports<Module> = Imports::new();
    for (file, of) in &files {
        let from = folder(file);
        let others = of.iter().map(folder);
        let apart = others.filter(|to| !to.starts_with(&from) && !from.starts_with(to));
        folders.entry(from.clone()).or_default().extend(apart);
    }
    let circles: Vec<_> = circles(folders).iter().map(|module| module.join("::")).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn imports_are_found_in_every_form() {
    let code =
        "use a::{b, c::{d, e as f}};\npub(super) use super::g;\nfn h() { crate::i::j(k::L); }";
    assert_eq!(paths(code), ["a::b", "a::c::d", "a::c::e", "super::g", "crate::i::j", "k::L"]);
    let two = |a: &'static str, b: &'static str| (a, BTreeSet::from([b]));
    assert_eq!(circles(Imports::from([two("a", "b"), two("b", "c"), two("c", "b")])), ["b", "c"]);
    assert!(circles(Imports::from([two("a", "b"), two("b", "c")])).is_empty());
}
