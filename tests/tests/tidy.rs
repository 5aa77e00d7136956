//! The house rules as tests (style.md 5 and 6). In: the files of the repository. Out: every place
//! that breaks a rule, all at once, with what the rule wants.

use std::path::Path;
use std::{fs, io};

use sha2::{Digest, Sha256};

/// Widest line, in characters (S-18).
const LINE_CHARS_MAX: usize = 100;

/// Longest file, in lines before its tests (style.md 2): beyond it a second subject lives there.
const FILE_LINES_MAX: usize = 600;

/// Files that are one thing and longer: path, lines permitted, reason.
const LONG_FILES: &[(&str, usize, &str)] = &[];

/// What may stand at the top (style.md 5.1), besides hidden entries and target folders.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "guest-sdk",
    "rules",
    "runtime",
    "rust-toolchain.toml",
    "tests",
];

/// Words that no source has: word, folders it is banned from, files where it is right, reason.
const BANNED: &[(&str, &[&str], &[&str], &str)] = &[
    ("println!", &SHIPPED, &PRINTING, "only the command line prints"),
    ("print!(", &SHIPPED, &PRINTING, "only the command line prints"),
    ("#[ignore", &[""], &[], "an ignored test shows nothing"),
    ("should_panic", &[""], &[], "it does not say which panic"),
    ("todo!(", &[""], &[], "unfinished work lives in the issue"),
    ("unimplemented!(", &[""], &[], "unfinished work lives in the issue"),
    ("TODO", &[""], &[], "unfinished work lives in the issue"),
    ("FIXME", &[""], &[], "unfinished work lives in the issue"),
    ("dbg!(", &[""], &[], "left over from looking"),
    ("/work/", &[""], &[], "a path of one machine"),
    ("/root/", &[""], &[], "a path of one machine"),
    ("/tmp/", &[""], &[], "use `tempfile`"),
];

/// How the names of sources end.
const SOURCES: [&str; 5] = [".rs", ".sh", ".toml", ".wit", ".yml"];

/// Folders of what is shipped.
const SHIPPED: [&str; 3] = ["runtime/", "guest-sdk/", "rules/"];

/// Where printing is the purpose. Build scripts talk to cargo that way.
const PRINTING: [&str; 3] = ["runtime/src/cli", "runtime/src/main.rs", "build.rs"];

/// Crates of the outer world, each with the one place that knows it (S-02).
const ONE_DOOR: &[(&str, &str)] = &[
    ("wasmtime", "runtime/host/"),
    ("ldap3", "runtime/src/connector/ldap"),
    ("reqwest", "runtime/src/delivery/scim"),
    ("serde_yaml", "runtime/src/config/yaml.rs"),
    ("roxmltree", "runtime/entra/src/read"),
    ("kakehi_entra", "runtime/src/cli/import"),
    ("tracing_subscriber", "runtime/src/service/log"),
];

/// What the engine may depend on (S-01): arithmetic and error texts.
const ENGINE_DEPENDENCIES: &[&str] = &["sha2", "thiserror"];

/// Which crates of ours a crate may depend on (style.md 5.3): manifest, crates.
const CRATES: &[(&str, &[&str])] = &[
    ("runtime/engine/Cargo.toml", &[]),
    ("runtime/entra/Cargo.toml", &["kakehi-expr"]),
    ("runtime/host/Cargo.toml", &["kakehi-engine"]),
    ("runtime/password/Cargo.toml", &["kakehi-engine"]),
    ("runtime/Cargo.toml", &["kakehi-engine", "kakehi-entra", "kakehi-host", "kakehi-expr"]),
    ("guest-sdk/rust/Cargo.toml", &[]),
    ("guest-sdk/rust/template/Cargo.toml", &["kakehi-guest"]),
    ("tests/guests/rust/Cargo.toml", &["kakehi-guest"]),
    ("rules/expr/Cargo.toml", &[]),
    ("rules/declarative/Cargo.toml", &["kakehi-guest", "kakehi-expr"]),
    ("rules/names/Cargo.toml", &["kakehi-guest"]),
    ("tests/xtask/Cargo.toml", &[]),
    (
        "tests/Cargo.toml",
        &[
            "kakehi",
            "kakehi-engine",
            "kakehi-host",
            "kakehi-expr",
            "kakehi-guest",
            "kakehi-password",
        ],
    ),
];

/// A room of the shell and the paths it may name (style.md 5.3); a path admits what is below it.
struct Room {
    name: &'static str,
    may_name: &'static [&'static str],
    /// Parts of what it may name that it must not.
    except: &'static [&'static str],
}

/// The stores behind the interface: only the service picks one.
const HOMES_OF_THE_STORE: &[&str] = &["store::sqlite", "store::postgres"];

const ROOMS: &[Room] = &[
    Room { name: "edge", may_name: &[], except: &[] },
    Room { name: "config", may_name: &[], except: &[] },
    // Both files are read in one way: the manifest speaks of findings, places and sizes as the
    // configuration does.
    Room { name: "manifest", may_name: &["config"], except: &["config::credential"] },
    Room { name: "connector", may_name: &["edge", "config"], except: &[] },
    Room { name: "delivery", may_name: &["edge", "config"], except: &[] },
    Room { name: "store", may_name: &["edge", "config"], except: &[] },
    Room {
        name: "sync",
        may_name: &["edge", "store", "manifest::generation"],
        except: HOMES_OF_THE_STORE,
    },
    Room {
        name: "service",
        may_name: &[
            "edge",
            "config",
            "manifest",
            "connector",
            "delivery",
            "store",
            "sync",
            "report",
        ],
        except: &[],
    },
    Room {
        name: "authoring",
        may_name: &["config", "manifest", "store", "report"],
        except: &["config::credential", "store::sqlite", "store::postgres"],
    },
    Room { name: "scaffold", may_name: &[], except: &[] },
    Room { name: "generate", may_name: &["edge", "config"], except: &["config::credential"] },
    // How things are told: everything that is looked up comes in as an argument.
    Room { name: "report", may_name: &[], except: &[] },
    Room {
        name: "cli",
        may_name: &["service", "config", "manifest", "authoring", "scaffold", "generate", "report"],
        except: &[],
    },
];

/// Released interfaces: a rule module built against one must work for ever.
const FROZEN: &[(&str, &str)] = &[(
    "guest-sdk/wit/since-v0.1.0/rules.wit",
    "88b263c1d60df5aa303526e6ae503df620bf6c7f99824b4fd0d4c1f4a49db017",
)];

#[test]
fn lines_fit_the_width() {
    let mut findings = Findings::default();
    for file in rust_files() {
        for (number, line) in file.numbered_lines() {
            let width = line.chars().count();
            if width > LINE_CHARS_MAX {
                findings.add(&file, number, &format!("{width} characters"));
            }
        }
    }
    findings.none("lines have at most 100 characters");
}

#[test]
fn files_have_one_subject() {
    let mut findings = Findings::default();
    for file in rust_files() {
        let lines = file.code().lines().count();
        let permitted = LONG_FILES.iter().find(|(path, ..)| *path == file.path);
        let lines_max = permitted.map_or(FILE_LINES_MAX, |(_, lines_max, _)| *lines_max);
        if lines > lines_max {
            findings.add(&file, lines, &format!("more than {lines_max} lines"));
        } else if permitted.is_some() && lines <= FILE_LINES_MAX {
            findings.add(&file, lines, "needs its exception no longer");
        }
    }
    findings.none("a long file is split by subject");
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut findings = Findings::default();
    for file in rust_files() {
        if !file.text.starts_with("//!") {
            findings.add(&file, 1, "does not start with `//!`");
        }
        if file.path.ends_with("/mod.rs") {
            findings.add(&file, 1, "is called `mod.rs`: use `name.rs` beside `name/`");
        }
    }
    findings.none("a file begins with a paragraph on what flows in and out");
}

#[test]
fn no_source_has_a_banned_word() {
    let mut findings = Findings::default();
    // This file has to name what it forbids.
    let sources = files().into_iter().filter(|file| {
        SOURCES.iter().any(|end| file.path.ends_with(end)) && file.path != "tests/tests/tidy.rs"
    });
    for file in sources {
        for (number, line) in file.numbered_lines() {
            for (word, folders, right, reason) in BANNED {
                let banned_here = folders.iter().any(|folder| file.path.starts_with(folder))
                    && !right.iter().any(|place| file.is_in(place));
                if banned_here && line.contains(word) {
                    findings.add(&file, number, &format!("`{word}`: {reason}"));
                }
            }
        }
    }
    findings.none("banned words");
}

#[test]
fn s01_the_engine_depends_on_arithmetic_and_error_texts_only() {
    let found = dependencies("runtime/engine/Cargo.toml");
    assert!(!found.is_empty(), "no dependencies were read");
    let foreign: Vec<&String> =
        found.iter().filter(|name| !ENGINE_DEPENDENCIES.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "the engine is pure, but depends on {foreign:?}");
}

#[test]
fn s02_the_outer_world_has_one_door_each() {
    let mut findings = Findings::default();
    let shipped = |file: &Source| SHIPPED.iter().any(|folder| file.path.starts_with(folder));
    for file in rust_files().filter(shipped) {
        for (number, line) in file.code_lines() {
            for (name, door) in ONE_DOOR {
                if names_crate(line, name) && !file.path.starts_with(door) {
                    findings.add(&file, number, &format!("`{name}` is known to `{door}` only"));
                }
            }
        }
    }
    findings.none("crates behind one door");
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for (manifest, may_name) in CRATES {
        for name in dependencies(manifest) {
            let ours = name == "kakehi" || name.starts_with("kakehi-") || name == "xtask";
            if ours && !may_name.contains(&name.as_str()) {
                wrong.push(format!("{manifest} names {name}"));
            }
        }
    }
    for manifest in files().iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        if !CRATES.iter().any(|(known, _)| *known == manifest.path) {
            wrong.push(format!("{} is not in the table of crates", manifest.path));
        }
    }
    assert!(wrong.is_empty(), "arrows between crates:\n{}", wrong.join("\n"));
}

#[test]
fn rooms_name_each_other_along_the_arrows_only() {
    let mut findings = Findings::default();
    for file in rust_files() {
        let Some(room) = room_of(&file.path) else { continue };
        let Some(room) = ROOMS.iter().find(|known| known.name == room) else {
            findings.add(&file, 1, &format!("room `{room}` is not in the table"));
            continue;
        };
        for path in crate_paths(&file.code_without_comments()) {
            if !may_name(room, &path) {
                findings.add(&file, 1, &format!("`{}` must not name `{path}`", room.name));
            }
        }
    }
    findings.none("arrows between rooms");
}

#[test]
fn g15_released_interfaces_are_frozen() {
    for (path, digest) in FROZEN {
        let bytes = fs::read(root().join(path)).unwrap();
        let found: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(&found, digest, "`{path}` is released: a change is a new folder beside it");
    }
    let unlisted: Vec<String> = files()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.starts_with("guest-sdk/wit/"))
        .filter(|path| !FROZEN.iter().any(|(frozen, _)| frozen == path))
        .collect();
    assert!(unlisted.is_empty(), "interfaces without a digest: {unlisted:?}");
}

#[test]
fn g18_no_compiled_module_is_kept() {
    let modules: Vec<String> = files()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| [".wasm", ".cwasm"].iter().any(|end| path.ends_with(end)))
        .collect();
    assert!(modules.is_empty(), "built from source, never committed: {modules:?}");
}

#[test]
fn the_top_level_has_what_a_stranger_needs_and_no_more() {
    let mut strange: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !is_cache(path))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    strange.sort();
    assert!(strange.is_empty(), "not permitted at the top: {strange:?}");
}

#[test]
fn documents_name_only_what_is_there() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in file.numbered_lines() {
            // Every second part of a line stands between backticks.
            for path in line.split('`').skip(1).step_by(2).filter(|word| is_path_from_root(word)) {
                let beside = root().join(&file.path).with_file_name(path);
                if !root().join(path).exists() && !beside.exists() {
                    findings.add(file, number, &format!("`{path}` is not there"));
                }
            }
        }
    }
    findings.none("documents that lie");
}

/// Whether a word of a document is one path that begins with a folder of the top level: from the
/// root, or from the document's own folder.
fn is_path_from_root(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    word.split_once('/').is_some_and(|(top, _)| TOP_LEVEL.contains(&top)) && word.chars().all(plain)
}

// === Reading the repository ===

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the root")
}

/// A file of the repository.
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// Every file in order of its path; binary ones with an empty text.
fn files() -> Vec<Source> {
    let mut found = Vec::new();
    collect(root(), &mut found).expect("the repository can be read");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            found.push(Source {
                text: fs::read_to_string(&path).unwrap_or_default(),
                path: path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().into_owned(),
            });
        } else if entry.file_name() != ".git" && !is_cache(&path) {
            collect(&path, found)?;
        }
    }
    Ok(())
}

/// Whether a folder holds what can be made again, under whatever name: cargo marks its target
/// folders so (bford.info/cachedir).
fn is_cache(folder: &Path) -> bool {
    folder.join("CACHEDIR.TAG").is_file()
}

fn rust_files() -> impl Iterator<Item = Source> {
    files().into_iter().filter(|file| file.path.ends_with(".rs"))
}

impl Source {
    /// Whether it is the place, below it, or a file of that name anywhere.
    fn is_in(&self, place: &str) -> bool {
        self.path.starts_with(place) || self.path.ends_with(&format!("/{place}"))
    }

    fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The text before its tests; nothing of a file that holds only tests.
    fn code(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return "";
        }
        self.text.split_once("\n#[cfg(test)]\nmod tests").map_or(&self.text, |(code, _)| code)
    }

    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code().lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| (index + 1, line))
    }

    fn code_without_comments(&self) -> String {
        self.code_lines().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
    }
}

/// Names in the `[dependencies]` table of a manifest; development and build dependencies are free.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest of the table is there");
    let table = text.split_once("[dependencies]\n").map_or("", |(_, rest)| rest);
    table
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether a line of code names a crate in a path: `wasmtime::Engine`, `use wasmtime;`.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || "_:.\"`-".contains(c));
        whole
            && (after.starts_with("::") || line.trim_start().starts_with("use "))
            && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// The room of a file of the shell; `None` for its entry and for files elsewhere.
fn room_of(path: &str) -> Option<&str> {
    let within = path.strip_prefix("runtime/src/")?;
    let room = within.split(['/', '.']).next()?;
    (!["lib", "main"].contains(&room)).then_some(room)
}

fn may_name(room: &Room, path: &str) -> bool {
    let below = |top: &str| {
        path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let top_is_a_room = ROOMS.iter().any(|known| below(known.name) && known.name != room.name);
    let permitted = room.may_name.iter().any(|top| below(top));
    !top_is_a_room || (permitted && !room.except.iter().any(|part| below(part)))
}

/// Every path after `crate::`, groups written out: `use crate::{edge::Clock, store}` gives both.
fn crate_paths(code: &str) -> Vec<String> {
    let starts = code.match_indices("crate::").filter(|(at, _)| {
        !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
    });
    starts.flat_map(|(at, word)| paths_of(&code[at + word.len()..])).collect()
}

/// The paths of a use tree that begins here.
fn paths_of(code: &str) -> Vec<String> {
    let end =
        code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(code.len());
    let (head, rest) = code.split_at(end);
    if !rest.starts_with('{') {
        return vec![head.trim_end_matches("::").to_owned()];
    }
    group(rest).iter().flat_map(|part| paths_of(part)).map(|tail| format!("{head}{tail}")).collect()
}

/// The parts of the group in braces that begins here, without the groups within being cut.
fn group(code: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 1, Vec::new());
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            parts.push(code[begin..at].trim());
            begin = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

// === Findings ===

/// Places that break a rule.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, file: &Source, line: usize, what: &str) {
        self.0.push(format!("{}:{line}: {what}", file.path));
    }

    fn none(self, rule: &str) {
        assert!(self.0.is_empty(), "{rule}:\n{}", self.0.join("\n"));
    }
}

// === The checks themselves ===

#[test]
fn groups_of_use_lines_are_written_out() {
    let code = "use crate::{edge::{Clock, Target}, store};\nlet x = crate::config::yaml::read(y);";
    assert_eq!(crate_paths(code), ["edge::Clock", "edge::Target", "store", "config::yaml::read"]);
}

#[test]
fn an_arrow_against_the_flow_is_seen() {
    let room = |name| ROOMS.iter().find(|room| room.name == name).unwrap();
    for (from, to, permitted) in [
        ("sync", "store::Store", true),
        ("sync", "store::sqlite::SqliteStore", false),
        ("sync", "sync::deliver", true),
        ("store", "sync", false),
        ("connector", "delivery::scim", false),
        ("manifest", "config::yaml::read", true),
        ("manifest", "config::credential::Credentials", false),
        ("cli", "store", false),
    ] {
        assert_eq!(may_name(room(from), to), permitted, "{from} -> {to}");
    }
}

#[test]
fn a_crate_is_named_by_a_path_and_not_by_a_word() {
    for (line, named) in [
        ("use wasmtime::Engine;", true),
        ("    let engine = wasmtime::Engine::new(&config)?;", true),
        ("use wasmtime_environ::Trap;", false),
        ("    version: \"wasmtime 48\",", false),
    ] {
        assert_eq!(names_crate(line, "wasmtime"), named, "{line}");
    }
}
