//! The structural rules, checked in the source: folders form a stack, and there is no
//! import cycle and no oversized file or folder.
//!
//! The stack of a crate is the order of the `mod` lines in its `lib.rs`: a folder imports only
//! folders below it in that order.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules above everything: they assemble a crate, and nothing imports them.
const ABOVE: [&str; 4] = ["lib", "main", "run", "start"];
/// Modules below everything: any file may import them.
const BELOW: [&str; 3] = ["error", "shown", "args"];

const MOST_LINES: usize = 500;
const MOST_FILES: usize = 14;
const MOST_LINES_OF_A_FUNCTION: usize = 80;
/// The beginning of the sentence that gives the reason in the head of a longer file.
const LONG_BECAUSE: &str = "Over 500 lines because";

/// The modules of a crate by path (`vault::value`), each with its text without unit tests.
struct Crate {
    name: String,
    modules: BTreeMap<String, String>,
    /// Top-level modules, the uppermost first.
    stack: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The member folders of the workspace, as Cargo.toml lists them.
fn crates() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find(|line| line.starts_with("members = ")).unwrap();
    let members = members.split('"').skip(1).step_by(2).map(str::to_owned);
    members.filter(|name| root().join(name).join("src").is_dir()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn without_tests_and_comments(text: &str) -> String {
    let tests = |line: &&str| {
        line.starts_with("#[cfg(") && line.contains("test)") || line.starts_with("#[cfg(all(test")
    };
    let code = text.lines().take_while(|line| !tests(line));
    code.filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The modules that a text declares under a `cfg` with `test`.
fn declared_for_tests(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().zip(text.lines().skip(1));
    let under_test =
        lines.filter(|(above, _)| above.starts_with("#[cfg(") && above.contains("test"));
    under_test
        .filter_map(|(_, line)| line.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name))
}

impl Crate {
    fn read(name: String) -> Crate {
        let source = root().join(&name).join("src");
        let (mut modules, mut test_modules) = (BTreeMap::new(), BTreeSet::new());
        for path in files_below(&source) {
            let relative = path.strip_prefix(&source).unwrap().with_extension("");
            let module = relative.to_str().unwrap().replace('/', "::");
            let module = module.strip_suffix("::mod").unwrap_or(&module).to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            test_modules.extend(declared_for_tests(&text).map(|name| format!("{module}::{name}")));
            modules.insert(module, without_tests_and_comments(&text));
        }
        // Unit tests in separate files are left out too.
        modules.retain(|module, _| {
            !test_modules.contains(module) && module.split("::").all(|part| part != "tests")
        });
        let words = |line: &str| {
            line.trim_end_matches(';').split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        let stack = modules["lib"]
            .lines()
            .map(words)
            .filter(|words| words.len() >= 2 && words[words.len() - 2] == "mod")
            .map(|words| words.last().unwrap().clone())
            .collect();
        Crate { name, modules, stack }
    }

    /// The longest module that `path` begins with.
    fn module_of(&self, path: &[&str]) -> Option<String> {
        (1..=path.len())
            .rev()
            .map(|length| path[..length].join("::"))
            .find(|module| self.modules.contains_key(module))
    }

    /// Every module that the code of `module` names, by `crate::`, `super::`, or from a `mod.rs` by
    /// its own name.
    fn imports(&self, module: &str) -> BTreeSet<String> {
        let text = &self.modules[module];
        let own: Vec<&str> = module.split("::").collect();
        let parent = &own[..own.len() - 1];
        let mut found = BTreeSet::new();
        for (start, base) in [
            ("crate::", &[][..]),
            ("super::", parent),
            ("use ", &own[..]),
            ("use self::", &own[..]),
        ] {
            for (at, _) in text.match_indices(start) {
                if text[..at].ends_with(|before: char| {
                    before.is_alphanumeric() || before == '_' || before == ':'
                }) || text[..at].ends_with("(in ")
                {
                    continue;
                }
                for path in expand(&text[at + start.len()..]) {
                    let path: Vec<&str> =
                        base.iter().copied().chain(path.iter().map(String::as_str)).collect();
                    match self.module_of(&path) {
                        Some(other) if other != module => {
                            found.insert(other);
                        }
                        None if start == "crate::" => {
                            found.insert(format!("lib ({})", path.join("::")));
                        }
                        _ => {}
                    }
                }
            }
        }
        found
    }

    fn height(&self, module: &str) -> usize {
        let top = module.split("::").next().unwrap();
        match (ABOVE.contains(&top), BELOW.contains(&top)) {
            (true, _) => 0,
            (_, true) => usize::MAX,
            _ => {
                1 + self
                    .stack
                    .iter()
                    .position(|other| other == top)
                    .unwrap_or_else(|| panic!("{top} has no place"))
            }
        }
    }
}

/// The paths of a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(text: &str) -> Vec<Vec<String>> {
    let end =
        text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let head: Vec<String> =
        text[..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if !text[..end].ends_with("::") && end > 0 || !text[end..].starts_with('{') {
        return vec![head];
    }
    let (mut depth, mut from, mut paths) = (0, end + 1, Vec::new());
    for (at, c) in text[end..].char_indices().map(|(at, c)| (at + end, c)) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 || depth == 1 && c == ',' {
            let part = text[from..at].trim();
            if !part.is_empty() {
                paths.extend(expand(part).into_iter().map(|tail| [head.clone(), tail].concat()));
            }
            from = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    paths
}

#[test]
fn a_folder_imports_only_folders_below_it() {
    let mut upward = Vec::new();
    for name in crates() {
        let house = Crate::read(name);
        for module in house.modules.keys() {
            let top = module.split("::").next().unwrap();
            for other in house.imports(module) {
                let other_top = other.split("::").next().unwrap();
                if other.starts_with("lib (") && !ABOVE.contains(&top) {
                    upward.push(format!("{}: {module} imports through {other}", house.name));
                } else if !other.starts_with("lib (")
                    && other_top != top
                    && house.height(&other) < house.height(module)
                {
                    upward.push(format!(
                        "{}: {module} imports {other}, which is above it",
                        house.name
                    ));
                }
            }
        }
    }
    assert!(upward.is_empty(), "{} upward imports:\n{}", upward.len(), upward.join("\n"));
}

#[test]
fn there_are_no_import_cycles() {
    let mut circles = Vec::new();
    for name in crates() {
        let house = Crate::read(name);
        let imports: BTreeMap<&String, BTreeSet<String>> =
            house.modules.keys().map(|module| (module, house.imports(module))).collect();
        let reaches = |from: &String| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(module) = next.pop() {
                for other in imports.get(module).into_iter().flatten() {
                    if seen.insert(other.clone()) {
                        next.push(other);
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&String, BTreeSet<String>> =
            house.modules.keys().map(|module| (module, reaches(module))).collect();
        let mut reported = BTreeSet::new();
        for module in house.modules.keys().filter(|module| reach[module].contains(*module)) {
            let circle: Vec<&str> = house
                .modules
                .keys()
                .filter(|other| reach[module].contains(*other) && reach[other].contains(module))
                .map(String::as_str)
                .collect();
            if reported.insert(circle.join(", ")) {
                circles.push(format!("{}: {}", house.name, circle.join(", ")));
            }
        }
    }
    assert!(circles.is_empty(), "{} import cycles:\n{}", circles.len(), circles.join("\n"));
}

#[test]
fn no_file_or_folder_is_too_large() {
    let mut large = Vec::new();
    for name in crates() {
        let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for path in files_below(&root().join(&name).join("src")) {
            *folders.entry(path.parent().unwrap().to_path_buf()).or_default() += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            if lines > MOST_LINES && !text.contains(LONG_BECAUSE) {
                large.push(format!("{}: {lines} lines", path.display()));
            }
        }
        // `commands` has one file for each verb, as a reader expects.
        folders.retain(|folder, files| {
            *files > MOST_FILES && !folder.ends_with("commands") && !folder.ends_with("cli")
        });
        large.extend(
            folders.iter().map(|(folder, files)| format!("{}: {files} files", folder.display())),
        );
    }
    assert!(large.is_empty(), "{}", large.join("\n"));
}

#[test]
fn the_first_line_of_a_file_is_a_statement() {
    let mut riddles = Vec::new();
    for folder in crates().into_iter().chain(["tests", "benches", "examples"].map(str::to_owned)) {
        for path in files_below(&root().join(&folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let first = text.lines().next().unwrap_or_default();
            if !first.starts_with("//! ") || first.split('.').next().unwrap().contains('?') {
                riddles.push(format!("{}: {first}", path.display()));
            }
        }
    }
    assert!(riddles.is_empty(), "{} files:\n{}", riddles.len(), riddles.join("\n"));
}

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for name in crates() {
        for (module, text) in &Crate::read(name.clone()).modules {
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            for (at, line) in lines.iter().enumerate() {
                let indent = line.len() - line.trim_start().len();
                if !line.split(' ').any(|word| word == "fn") || line.ends_with(';') {
                    continue;
                }
                let end = format!("{}}}", " ".repeat(indent));
                let length = lines[at..].iter().position(|line| *line == end).unwrap_or_default();
                if length > MOST_LINES_OF_A_FUNCTION {
                    long.push(format!("{name}: {module}, {length} lines: {}", line.trim()));
                }
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Whoever signs elsewhere forgets what `save` does after the signature.
#[test]
fn the_command_line_signs_files_in_one_place() {
    // A login is tried with a vault in memory, which is never saved.
    let allowed = ["trust::save", "commands::profile::from_curl"];
    let signs = |text: &str| text.contains(".sign_above(") || text.contains(".sign()");
    let modules = Crate::read("vault-cli".to_owned()).modules;
    let signing: Vec<&str> =
        modules.iter().filter(|(_, text)| signs(text)).map(|(module, _)| module.as_str()).collect();
    assert_eq!(signing.iter().filter(|module| !allowed.contains(module)).count(), 0, "{signing:?}");
    assert!(signing.contains(&allowed[0]), "{signing:?}");
}
