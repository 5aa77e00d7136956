//! From a configuration to the real parts: sources, targets, rules, state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kakehi_engine::object::{AttributeName, ClassName, ConnectorName};
use kakehi_engine::rule::{TargetClass, Thresholds};
use kakehi_host::Host;

use crate::config::Config;
use crate::config::finding::{Finding, Severity};
use crate::config::quantity::Size;
use crate::config::source::{self, Bind, LdapKind, Source};
use crate::config::target::Target as TargetConfig;
use crate::connector::ldap::{self, LdapDirectory, LdapOptions, ServerKind, TlsOptions};
use crate::connector::ldif::{LdifDirectory, LdifOptions, LdifSource};
use crate::delivery::renamed::{Names, Renamed};
use crate::delivery::scim::{self, Profile, ScimOptions, ScimTarget};
use crate::edge::{Directory, Target};
use crate::manifest::files::Files;
use crate::manifest::generation::{self, Admission, Generation, Surroundings};
use crate::service::clock::SystemClock;
use crate::service::failure::{Failure, Kind};
use crate::service::generations::{Generations, Index, Kept, StandIn};
use crate::service::log;
use crate::service::picture::{self, Picture};
use crate::store::sqlite::SqliteStore;
use crate::store::{Repetition, ShrinkLimit, Store};
use crate::sync::{Breaker, Limits, Parts, Staging, Stop};

/// Everything that the configuration means, loaded and checked; nothing is connected yet.
pub struct World {
    pub config: Config,
    pub generation: Generation,
    pub warnings: Vec<Finding>,
    /// What the generation was made of.
    pub files: Arc<Files>,
    digest: String,
    /// The clock of the modules' deadlines lives as long as their host.
    pub(crate) host: Arc<Host>,
}

/// Reads configuration, manifest and modules, for work: the rules in force, which are those of an
/// earlier generation while it stands in for the files.
///
/// Errors: every finding, before anything is bound or connected (S-15).
pub fn load(path: &Path) -> Result<World, Failure> {
    load_with_picture(path).map(|(world, _)| world)
}

/// As [`load`], with what the files on the disk looked like.
pub(crate) fn load_with_picture(path: &Path) -> Result<(World, Picture), Failure> {
    let outer = picture::outer(path);
    let (config, warnings) = crate::config::load(path).map_err(Failure::of_findings)?;
    let host = Arc::new(host(&config)?);
    let generations = Generations::of(&config.state.path);
    let index = generations.index()?;
    let (world, files) = attempt(config, warnings, host);
    let world = match &index.stand_in {
        Some(stand_in) if stand_in.instead_of == files.digest() => {
            let (config, warnings) = crate::config::load(path).map_err(Failure::of_findings)?;
            kept(config, warnings, &generations, &index, stand_in)
        }
        _ => world,
    };
    Ok((world?, Picture::new(path, outer, files)))
}

/// As [`load`], for those who only look: where the files on the disk are refused, the generation
/// that was in force last, which a running service still works with.
pub fn load_to_look(path: &Path) -> Result<World, Failure> {
    load(path).or_else(|refused| {
        let (config, _) = crate::config::load(path).map_err(Failure::of_findings)?;
        let generations = Generations::of(&config.state.path);
        let index = generations.index()?;
        let Some(last) = index.active.and_then(|number| index.kept(number)) else {
            return Err(refused);
        };
        let host = Arc::new(host(&config)?);
        from_files(config, vec![], Files::of(&generations.manifest(last)), host).0
    })
}

/// Reads configuration, manifest and modules as they lie on the disk.
///
/// Errors: every finding.
pub fn load_files(path: &Path) -> Result<World, Failure> {
    let (config, warnings) = crate::config::load(path).map_err(Failure::of_findings)?;
    let host = Arc::new(host(&config)?);
    attempt(config, warnings, host).0
}

/// As [`load_files`], with another manifest: a file, or a folder with a `manifest.yml`.
///
/// Errors: every finding; there is no such file.
pub fn load_manifest(config: &Path, manifest: &Path) -> Result<World, Failure> {
    let (config, warnings) = crate::config::load(config).map_err(Failure::of_findings)?;
    let host = Arc::new(host(&config)?);
    let manifest = match manifest.is_dir() {
        true => manifest.join("manifest.yml"),
        false => manifest.to_owned(),
    };
    from_files(config, warnings, Files::of(&manifest), host).0
}

/// As [`load_files`], with a configuration that was read and a host that knows modules already.
/// Gives the files of the manifest, also where they are refused.
pub(crate) fn attempt(
    config: Config,
    warnings: Vec<Finding>,
    host: Arc<Host>,
) -> (Result<World, Failure>, Arc<Files>) {
    let files = Files::of(&config.manifest);
    from_files(config, warnings, files, host)
}

/// The generation that stands in for the files.
fn kept(
    config: Config,
    mut warnings: Vec<Finding>,
    generations: &Generations,
    index: &Index,
    stand_in: &StandIn,
) -> Result<World, Failure> {
    let kept = index.kept(stand_in.number).ok_or_else(|| {
        let message = format!("generation {} is not kept any more", stand_in.number);
        Failure::new(Kind::Config, "K0212", message)
            .hint("change the manifest, or choose one of `kakehi config generations`")
    })?;
    warnings.push(Finding {
        severity: Severity::Warning,
        code: "K0213",
        message: format!(
            "generation {} stands in for the files on disk: {}",
            kept.number, stand_in.why
        ),
        place: None,
        hint: Some("it is over once the files change".into()),
    });
    let host = Arc::new(host(&config)?);
    from_files(config, warnings, Files::of(&generations.manifest(kept)), host).0
}

/// The world of a kept generation, with the configuration as it is now.
pub(crate) fn of_generation(path: &Path, kept: &Kept, host: Arc<Host>) -> Result<World, Failure> {
    let (config, warnings) = crate::config::load(path).map_err(Failure::of_findings)?;
    let manifest = Generations::of(&config.state.path).manifest(kept);
    from_files(config, warnings, Files::of(&manifest), host).0
}

fn from_files(
    config: Config,
    mut warnings: Vec<Finding>,
    mut files: Files,
    host: Arc<Host>,
) -> (Result<World, Failure>, Arc<Files>) {
    let admission = match Admission::of(&config.rules) {
        Ok(admission) => admission,
        Err(faults) => return (Err(Failure::of_findings(faults)), Arc::new(files)),
    };
    let names = match target_names(&config) {
        Ok(names) => names,
        Err(failure) => return (Err(failure), Arc::new(files)),
    };
    let named = || names.iter().filter(|(_, names)| !names.is_empty());
    let surroundings = Surroundings {
        connectors: &config.connectors(),
        classes: &target_classes(&names),
        taken: &named().map(|(name, names)| (name.clone(), names.taken())).collect(),
        thresholds: &thresholds(&config),
        admission: &admission,
        limits: rule_limits(&config),
    };
    let generation = match config.is_for_passwords_only() {
        true => Ok((Generation::empty(), vec![])),
        false => generation::load(&mut files, &surroundings, &host),
    };
    let files = Arc::new(files);
    let read = Arc::clone(&files);
    let world = generation.map_err(Failure::of_findings).map(|(generation, found)| {
        warnings.extend(found);
        let digest = config.digest();
        World { config, generation, warnings, files, digest, host }
    });
    (world, read)
}

/// The state, for looking at, of an installation whose rules need not be sound.
pub fn state_read_only(config: &Config) -> Result<Box<dyn Store>, Failure> {
    Ok(Box::new(SqliteStore::open_read_only(&config.state.path)?))
}

pub(crate) fn host(config: &Config) -> Result<Host, Failure> {
    let options = kakehi_host::Options {
        cache: Some(config.rules.cache.clone()),
        batch_objects_max: config.rules.batch as usize,
        log: Some(Arc::new(log::guest)),
        ..kakehi_host::Options::default()
    };
    Host::new(options).map_err(|error| {
        Failure::new(Kind::Internal, "K0500", format!("cannot start the rule host: {error}"))
    })
}

fn rule_limits(config: &Config) -> kakehi_host::Limits {
    kakehi_host::Limits {
        memory_bytes: bytes(config.rules.memory),
        time: config.rules.time.0,
        output_bytes: bytes(config.rules.output),
        ..kakehi_host::Limits::default()
    }
}

fn thresholds(config: &Config) -> BTreeMap<ConnectorName, Thresholds> {
    config.targets.iter().map(|(name, target)| (name.clone(), target.thresholds)).collect()
}

/// The names that rules have for the objects of each target.
fn target_names(config: &Config) -> Result<BTreeMap<ConnectorName, Names>, Failure> {
    let of = |(name, target): (&ConnectorName, &crate::config::target::Target)| {
        let names = Names::new(&target.types).map_err(|error| {
            let message = format!("the names of the target `{name}` cannot be used: {error}");
            Failure::new(Kind::Config, "K0968", message)
                .hint("write paths such as `userName` or `name.familyName` under `types`")
        })?;
        Ok((name.clone(), names))
    };
    config.targets.iter().map(of).collect()
}

/// What each target's object types are: all of them speak SCIM, under their names or those of the
/// rules.
fn target_classes(
    names: &BTreeMap<ConnectorName, Names>,
) -> BTreeMap<ConnectorName, BTreeMap<ClassName, TargetClass>> {
    let classes = |names: &Names| match names.is_empty() {
        true => scim::schema::classes(),
        false => names.classes(),
    };
    names.iter().map(|(target, names)| (target.clone(), classes(names))).collect()
}

/// A size fits this machine's addresses, or means "as much as there is".
fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

/// A source, reading these attributes of these object types.
pub(crate) fn directory(
    config: &Config,
    name: &ConnectorName,
    source: &Source,
    attributes: BTreeSet<AttributeName>,
    classes: BTreeSet<ClassName>,
) -> Box<dyn Directory> {
    match source {
        Source::Ldap(ldap) => {
            Box::new(LdapDirectory::new(ldap_options(config, name, ldap, attributes, classes)))
        }
        Source::Ldif(ldif) => {
            let options = LdifOptions {
                name: name.clone(),
                source: LdifSource::Path(ldif.path.clone()),
                anchor: ldif.anchor.clone(),
                links: ldif.links.clone(),
                attributes,
                classes,
            };
            Box::new(LdifDirectory::new(options, Arc::new(SystemClock)))
        }
    }
}

pub(crate) fn ldap_options(
    config: &Config,
    name: &ConnectorName,
    ldap: &source::Ldap,
    attributes: BTreeSet<AttributeName>,
    classes: BTreeSet<ClassName>,
) -> LdapOptions {
    let limits = ldap::Limits {
        page_entries: ldap.limits.page_entries,
        message_bytes: bytes(ldap.limits.message),
        window_bytes: bytes(ldap.limits.window),
        connect: ldap.limits.connect.0,
        bind: ldap.limits.bind.0,
        first_answer: ldap.limits.first_answer.0,
        next_answer: ldap.limits.next_answer.0,
        page: ldap.limits.page.0,
    };
    LdapOptions {
        name: name.clone(),
        kind: match ldap.kind {
            LdapKind::OpenLdap => ServerKind::OpenLdap,
            LdapKind::Generic => ServerKind::Generic,
            LdapKind::Auto => ServerKind::Auto,
        },
        urls: ldap.urls.clone(),
        starttls: ldap.starttls,
        tls: TlsOptions { ca: ldap.ca.clone(), pin_sha256: ldap.pin_sha256 },
        insecure: ldap.insecure,
        bind: bind(config, &ldap.bind),
        bases: ldap.bases.clone(),
        filter: ldap.filter.clone(),
        attributes,
        links: ldap.links.clone(),
        classes,
        limits,
    }
}

fn bind(config: &Config, bind: &Bind) -> ldap::Bind {
    match bind {
        Bind::Anonymous => ldap::Bind::Anonymous,
        Bind::External => ldap::Bind::External,
        Bind::Simple { dn, credential } => ldap::Bind::Simple {
            dn: dn.clone(),
            password: Arc::clone(&config.credentials[credential].secret),
        },
    }
}

// === impl World ===

impl World {
    /// What a cycle works with. `accept_shrink`: a listing may make any number of objects vanish,
    /// since somebody reviews or reviewed it.
    pub fn parts(&self, store: Arc<dyn Store>, stop: Stop, accept_shrink: bool) -> Parts<'_> {
        let shrink = ShrinkLimit {
            objects_max: self.config.import.max_shrink.objects,
            percent_max: self.config.import.max_shrink.percent,
            accepted: accept_shrink,
        };
        Parts {
            store,
            clock: Arc::new(SystemClock),
            rules: Arc::clone(&self.generation.rules),
            modules: &self.generation.modules,
            config: self.digest.clone(),
            limits: self.limits(shrink),
            stop,
            staging: Staging::new(self.config.run.staging, false),
            journal: self.config.run.journal.0,
            users: None,
        }
    }

    fn limits(&self, shrink: ShrinkLimit) -> Limits {
        let run = &self.config.run;
        let breaker = Breaker { failures: run.breaker.failures, percent: run.breaker.percent };
        let repetition = Repetition {
            window: run.flapping.window.0,
            flips: run.flapping.flips,
            retries: run.confirm_retries,
        };
        Limits { shrink, errors_max: run.max_errors, breaker, repetition }
    }

    /// Keys of the configuration that differ and take effect at the next start only.
    pub(crate) fn restart_only(&self, next: &Self) -> Vec<&'static str> {
        let (before, after) = (&self.config, &next.config);
        let (of_before, of_after) = (before.passwords_and_mail(), after.passwords_and_mail());
        let differing = [
            ("control.socket", before.control != after.control),
            ("http.listen", before.http != after.http),
            ("password", of_before[0] != of_after[0]),
            ("mail", of_before[1] != of_after[1]),
            ("log.level", before.log.level != after.log.level),
            ("rules.cache", before.rules.cache != after.rules.cache),
            ("rules.batch", before.rules.batch != after.rules.batch),
            ("rules.reload.watch", before.rules.reload.watch != after.rules.reload.watch),
        ];
        differing.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// The state, for looking at. Works while a daemon runs, too.
    pub fn read_only(&self) -> Result<Box<dyn Store>, Failure> {
        state_read_only(&self.config)
    }

    /// Every source, in the order of the rule set's connectors.
    pub fn sources(&self) -> Vec<Box<dyn Directory>> {
        let in_order = self.generation.rules.connectors.iter();
        in_order
            .filter_map(|connector| self.config.sources.get_key_value(&connector.name))
            .map(|(name, source)| self.source(name, source))
            .collect()
    }

    fn source(&self, name: &ConnectorName, source: &Source) -> Box<dyn Directory> {
        let rules = &self.generation.rules;
        let mut attributes = rules.source_attributes(name);
        if let Some(password) = &self.config.password {
            attributes.extend(password.source_attributes().into_iter().map(AttributeName::from));
        }
        directory(&self.config, name, source, attributes, rules.cs_classes(name))
    }

    /// Every target, ready to be asked.
    pub fn targets(&self) -> Result<Vec<Arc<dyn Target>>, Failure> {
        self.config.targets.iter().map(|(name, target)| self.target(name, target)).collect()
    }

    /// How a target is reached.
    pub(crate) fn scim_options(
        &self,
        name: &ConnectorName,
        target: &TargetConfig,
    ) -> Result<ScimOptions, Failure> {
        let mut profile = Profile::shipped(&target.profile).ok_or_else(|| {
            let message = format!("target `{name}`: there is no profile `{}`", target.profile);
            Failure::new(Kind::Config, "K0704", message)
        })?;
        if let Some(max) = target.concurrency_max {
            profile.concurrency_max = max as usize;
        }
        Ok(ScimOptions {
            name: name.clone(),
            base_url: target.base_url.clone(),
            token: Arc::clone(&self.config.credentials[&target.credential].secret),
            profile,
            allow_loopback: target.allow_loopback,
            ca: target.ca.clone(),
            connect_timeout: target.connect_timeout.0,
            total_timeout: target.total_timeout.0,
            clock: Arc::new(SystemClock),
        })
    }

    fn target(
        &self,
        name: &ConnectorName,
        target: &TargetConfig,
    ) -> Result<Arc<dyn Target>, Failure> {
        let options = self.scim_options(name, target)?;
        let scim = ScimTarget::new(options).map_err(|error| {
            Failure::new(Kind::Config, "K0705", format!("target `{name}`: {error}"))
        })?;
        match target_names(&self.config)?.remove(name).filter(|names| !names.is_empty()) {
            Some(names) => Ok(Arc::new(Renamed::new(Box::new(scim), names))),
            None => Ok(Arc::new(scim)),
        }
    }

    /// Connects to every source and tells what it saw.
    ///
    /// Errors: the first source that cannot be read as configured.
    pub fn probe(&self) -> Result<Vec<String>, Failure> {
        let mut lines = vec![];
        super::once::runtime()?.block_on(async {
            for mut source in self.sources() {
                let report = source.probe().await?;
                let name = source.name().clone();
                lines.extend(report.lines.into_iter().map(|line| format!("{name}: {line}")));
            }
            Ok::<(), Failure>(())
        })?;
        Ok(lines)
    }
}
