//! Generations that are kept: the files of each manifest that was in force flow in; a list, and the
//! files of any of them, flow out (rules.md 7).
//!
//! They lie in the folder of the state, each in a folder of its own as its author wrote it, so that
//! they can be read and compared with everyday tools.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kakehi_engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::files::Files;
use crate::service::failure::{Failure, Kind};

const FOLDER: &str = "generations";
const INDEX: &str = "index.json";

/// What is known of all generations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Index {
    /// In the order in which they were first in force.
    pub kept: Vec<Kept>,
    /// The highest number so far.
    pub newest: u64,
    /// The one that is, or was last, in force.
    pub active: Option<u64>,
    /// A generation that is in force although other files lie where the configuration says.
    pub stand_in: Option<StandIn>,
    /// What became of the last attempt to take changed files.
    pub last_reload: Option<LastReload>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub number: u64,
    /// Digest of names and contents of its files.
    pub files: String,
    /// Digest of what they mean.
    pub ruleset: String,
    /// When it came into force the last time.
    pub since: String,
    /// By what: `start`, `reload`, `apply`, `rollback`.
    pub by: String,
    /// The manifest below the generation's folder.
    pub manifest: String,
    /// The OS user who owned the manifest when it came into force: who wrote it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandIn {
    pub number: u64,
    /// Digest of the files that it stands in for; with any others it is over.
    pub instead_of: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastReload {
    pub at: String,
    /// `active`, `held`, `refused`.
    pub outcome: String,
    /// Everything that a person has to know of it.
    pub text: String,
}

/// Files that come into force.
#[derive(Clone, Copy)]
pub struct Entered<'a> {
    pub files: &'a Files,
    /// Digest of what they mean.
    pub ruleset: &'a str,
    pub by: &'a str,
    /// Digest of the files that they stand in for, and why, if they are not those on the disk.
    pub instead_of: Option<&'a (String, String)>,
    pub now: Timestamp,
    /// How many generations are kept.
    pub keep: u32,
}

/// The generations of one installation.
#[derive(Clone, Debug)]
pub struct Generations {
    folder: PathBuf,
}

// === impl Index ===

impl Index {
    pub fn kept(&self, number: u64) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.number == number)
    }

    /// The generation that was in force before the active one.
    pub fn previous(&self) -> Option<&Kept> {
        let others = self.kept.iter().filter(|kept| Some(kept.number) != self.active);
        others.max_by(|a, b| (&a.since, a.number).cmp(&(&b.since, b.number)))
    }

    /// Digest of the files that these stand in for, and why, if they are those of a generation
    /// that stands in.
    pub fn goes_on(&self, files: &Files) -> Option<(String, String)> {
        let stand_in = self.stand_in.as_ref()?;
        let kept = self.kept(stand_in.number)?;
        (kept.files == files.digest()).then(|| (stand_in.instead_of.clone(), stand_in.why.clone()))
    }

    /// The generation that is named by its number or the beginning of one of its digests.
    ///
    /// Errors: K0985 none is, or several are.
    pub fn named(&self, name: &str) -> Result<&Kept, Failure> {
        let by_number = name.parse().ok().and_then(|number| self.kept(number));
        if let Some(kept) = by_number {
            return Ok(kept);
        }
        let begins = |kept: &&Kept| kept.files.starts_with(name) || kept.ruleset.starts_with(name);
        let found: Vec<&Kept> = self.kept.iter().filter(begins).collect();
        match (found.as_slice(), name.is_empty()) {
            ([kept], false) => Ok(kept),
            ([], _) | (_, true) => {
                let message = format!("no generation is called `{name}`");
                Err(Failure::new(Kind::Usage, "K0985", message).hint(
                    "name a number or the beginning of a digest of `kakehi config generations`, \
                     `current`, or `files` for what lies on the disk",
                ))
            }
            _ => {
                let numbers: Vec<String> =
                    found.iter().map(|kept| kept.number.to_string()).collect();
                let message = format!("`{name}` may be each of {}", numbers.join(", "));
                Err(Failure::new(Kind::Usage, "K0985", message).hint("name one by its number"))
            }
        }
    }

    /// The generation that somebody wants back; without a number, the one before.
    ///
    /// Errors: K0215 it is not kept.
    pub fn choose(&self, number: Option<u64>) -> Result<&Kept, Failure> {
        let (kept, message) = match number {
            Some(number) => (self.kept(number), format!("there is no generation {number}")),
            None => (self.previous(), "there is no earlier generation".to_owned()),
        };
        kept.ok_or_else(|| {
            Failure::new(Kind::Usage, "K0215", message)
                .hint("`kakehi config generations` lists those that are kept")
        })
    }
}

// === impl Generations ===

impl Generations {
    /// Those of the state in this folder. Nothing is touched yet.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// Errors: the index cannot be read; a missing one is empty.
    pub fn index(&self) -> Result<Index, Failure> {
        let path = self.folder.join(INDEX);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Index::default());
            }
            Err(error) => return Err(failed("read", &path, &error)),
        };
        serde_json::from_str(&text).map_err(|error| failed("read", &path, &error))
    }

    /// The manifest of a kept generation.
    pub fn manifest(&self, kept: &Kept) -> PathBuf {
        self.folder.join(kept.number.to_string()).join(&kept.manifest)
    }

    /// Files that are in force from now on are kept, once; what lies beyond `entered.keep` goes.
    ///
    /// Gives their number. Errors: the disk.
    pub fn enter(&self, entered: &Entered<'_>) -> Result<u64, Failure> {
        let Entered { files, ruleset, by, instead_of, now, keep } = *entered;
        let before = self.index()?;
        let mut index = before.clone();
        let digest = files.digest();
        let number = match index.kept.iter_mut().find(|kept| kept.files == digest) {
            Some(kept) => {
                if before.active != Some(kept.number) || kept.ruleset != ruleset {
                    (kept.since, kept.by) = (now.rfc3339(), by.into());
                    kept.ruleset = ruleset.into();
                }
                kept.number
            }
            None => {
                let number = index.newest + 1;
                self.write_files(number, files)?;
                index.newest = number;
                index.kept.push(Kept {
                    number,
                    files: digest,
                    ruleset: ruleset.into(),
                    since: now.rfc3339(),
                    by: by.into(),
                    manifest: files.main_name(),
                    owner: owner(files.main()),
                });
                number
            }
        };
        index.active = Some(number);
        index.stand_in = instead_of.map(|(instead_of, why)| StandIn {
            number,
            instead_of: instead_of.clone(),
            why: why.clone(),
        });
        self.forget_oldest(&mut index, keep as usize);
        if index != before {
            self.write_index(&index)?;
        }
        Ok(number)
    }

    /// A generation that stays in force, or comes back, as long as other files lie where the
    /// configuration says.
    pub fn stand_in(&self, stand_in: StandIn) -> Result<(), Failure> {
        let mut index = self.index()?;
        index.active = Some(stand_in.number);
        index.stand_in = Some(stand_in);
        self.write_index(&index)
    }

    pub fn note_reload(&self, outcome: &str, text: &str, now: Timestamp) -> Result<(), Failure> {
        let mut index = self.index()?;
        let (outcome, text) = (outcome.into(), text.into());
        index.last_reload = Some(LastReload { at: now.rfc3339(), outcome, text });
        self.write_index(&index)
    }

    fn write_files(&self, number: u64, files: &Files) -> Result<(), Failure> {
        let folder = self.folder.join(number.to_string());
        // Left by a crash between the files and the index.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| failed("remove", &folder, &error))?;
        }
        for (name, bytes) in files.contents() {
            let path = folder.join(name);
            write_durably(&path, bytes).map_err(|error| failed("write", &path, &error))?;
        }
        Ok(())
    }

    /// The files of those that go are removed first: an index never names what is not there, but
    /// for a crash in between, after which the number is simply missing when it is asked for.
    fn forget_oldest(&self, index: &mut Index, keep: usize) {
        while index.kept.len() > keep.max(2) {
            let needed = [index.active, index.stand_in.as_ref().map(|stand_in| stand_in.number)];
            let mut oldest: Vec<_> = index
                .kept
                .iter()
                .filter(|kept| !needed.contains(&Some(kept.number)))
                .map(|kept| (kept.since.clone(), kept.number))
                .collect();
            oldest.sort();
            let Some((_, number)) = oldest.first() else { return };
            let folder = self.folder.join(number.to_string());
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::warn!("cannot remove `{}`: {error}", folder.display());
            }
            index.kept.retain(|kept| kept.number != *number);
        }
    }

    fn write_index(&self, index: &Index) -> Result<(), Failure> {
        let path = self.folder.join(INDEX);
        let text = serde_json::to_string_pretty(index)
            .expect("an index of texts and numbers can be written as JSON");
        let beside = path.with_extension("new");
        write_durably(&beside, text.as_bytes())
            .and_then(|()| fs::rename(&beside, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|error| failed("write", &path, &error))
    }
}

/// The name of a file's owner, else the number; nothing where there is no such file.
fn owner(path: &Path) -> Option<String> {
    let uid = fs::metadata(path).ok()?.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number == uid).then(|| name.to_owned())
    });
    Some(name.unwrap_or(uid))
}

fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn failed(action: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let message = format!("cannot {action} `{}`: {error}", path.display());
    Failure::new(Kind::Internal, "K0211", message)
        .hint("the folder of the state must belong to the user who runs the service")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home {
        folder: tempfile::TempDir,
        generations: Generations,
    }

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let generations = Generations::of(&folder.path().join("state"));
            Self { folder, generations }
        }

        /// Writes a manifest with one module and keeps it; gives its number.
        fn keep(&self, text: &str, second: i64) -> u64 {
            let main = self.folder.path().join("manifest.yml");
            fs::write(&main, text).unwrap();
            fs::create_dir_all(self.folder.path().join("rules")).unwrap();
            fs::write(self.folder.path().join("rules/a.wasm"), text).unwrap();
            let mut files = Files::of(&main);
            files.text(&main).unwrap();
            files.module(&main, "rules/a.wasm").unwrap();
            let now = Timestamp(second * 1000);
            let entered = Entered {
                files: &files,
                ruleset: text,
                by: "reload",
                instead_of: None,
                now,
                keep: 3,
            };
            self.generations.enter(&entered).unwrap()
        }
    }

    #[test]
    fn g11_generations_are_kept_as_their_authors_wrote_them_and_each_once() {
        let home = Home::new();
        assert_eq!(home.generations.index().unwrap(), Index::default());
        assert_eq!((home.keep("one", 1), home.keep("two", 2), home.keep("one", 3)), (1, 2, 1));
        let index = home.generations.index().unwrap();
        assert_eq!((index.kept.len(), index.active), (2, Some(1)));
        assert_eq!(index.previous().map(|kept| kept.number), Some(2));
        let two = home.generations.manifest(index.kept(2).unwrap());
        assert_eq!(fs::read_to_string(&two).unwrap(), "two");
        assert_eq!(fs::read_to_string(two.with_file_name("rules/a.wasm")).unwrap(), "two");
    }

    #[test]
    fn the_oldest_go_and_their_numbers_are_not_used_again() {
        let home = Home::new();
        for (second, text) in ["1", "2", "3", "4", "5"].into_iter().enumerate() {
            home.keep(text, second as i64);
        }
        let index = home.generations.index().unwrap();
        let numbers: Vec<u64> = index.kept.iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, [3, 4, 5]);
        assert!(!home.generations.folder.join("1").exists());
    }

    #[test]
    fn one_that_stands_in_is_kept_until_it_does_no_longer() {
        let home = Home::new();
        for (second, text) in ["1", "2", "3"].into_iter().enumerate() {
            home.keep(text, second as i64);
        }
        let stand_in = StandIn { number: 1, instead_of: "digest".into(), why: "back".into() };
        home.generations.stand_in(stand_in.clone()).unwrap();
        let index = home.generations.index().unwrap();
        assert_eq!((index.active, index.stand_in), (Some(1), Some(stand_in)));
        assert_eq!(home.keep("4", 9), 4);
        let index = home.generations.index().unwrap();
        assert_eq!((index.active, index.stand_in), (Some(4), None));
    }
}
