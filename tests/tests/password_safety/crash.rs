//! A service that is killed a hundred times over captures and deliveries (password.md 13, 3).
//!
//! The target answers slowly and keeps on carrying out what a service asked for that is dead. It
//! takes no password a second time in a row, as servers with a history do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kakehi_password::agent::{Agent, Taken, flush};
use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::product::Product;

use crate::http::{self, Act, Seen, Server};
use crate::office;

const SEED: u64 = 0x6b61_6b65_6869;
const KILLS: u64 = 100;
const USERS: u64 = 20;

/// How long the target takes at most.
const DELAY_MS: u64 = 60;

/// How long something may take that usually takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// A late request is to arrive within the grace, whatever else this machine does.
const POLICY: &str = "  uncertain_grace: 15s
  max_flips_per_user_per_hour: 10000
  intake: {per_user_per_hour: 1000000, per_agent_per_minute: 10000000}
  retry: {unavailable: {triggers: [timer], backoff: {initial: 1s, max: 2s}}}
";

/// Numbers that only a seed decides (SplitMix64).
struct Rng(u64);

/// Something that several threads look at, and wait for.
struct Watched<T> {
    state: Mutex<T>,
    changed: Condvar,
}

/// What the target knows.
struct Book {
    rng: Rng,
    accounts: BTreeMap<String, Account>,
    /// Requests that have arrived and are not carried out yet.
    in_delay: usize,
    /// Requests for what was set already.
    twice: usize,
    hold: Hold,
}

#[derive(Default)]
struct Account {
    current: Option<u64>,
    /// Each number that was to be set, in the order of arrival.
    arrived: Vec<u64>,
    set: Vec<u64>,
}

/// One request may be carried out very late.
#[derive(Clone, PartialEq)]
enum Hold {
    None,
    Wanted,
    Held { user: String, number: u64 },
    Released,
}

/// What the source's side was promised.
#[derive(Default)]
struct Ledger {
    /// The newest number of each user that the intake or the spool took.
    last: BTreeMap<String, u64>,
    acknowledged: u64,
    spooled: u64,
}

enum Moment {
    /// Whatever happens then.
    Any,
    /// An acknowledgement has just been given.
    Acknowledged,
    /// The target works on a password.
    Setting,
    /// As [`Moment::Setting`], and the target is done only when a newer one was delivered.
    SettingLate,
}

// === impl Rng ===

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

// === impl Watched ===

impl<T> Watched<T> {
    fn new(state: T) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let result = act(&mut self.state.lock().expect("nobody panicked"));
        self.changed.notify_all();
        result
    }

    fn wait(&self, what: &str, mut holds: impl FnMut(&T) -> bool) {
        let state = self.state.lock().expect("nobody panicked");
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| !holds(state));
        let (state, waited) = waited.expect("nobody panicked");
        drop(state);
        assert!(!waited.timed_out(), "seed {SEED:#x}: {what} did not happen");
    }
}

// === The target ===

fn target() -> (Server, Arc<Watched<Book>>) {
    let book = Book {
        rng: Rng(SEED ^ 1),
        accounts: BTreeMap::new(),
        in_delay: 0,
        twice: 0,
        hold: Hold::None,
    };
    let book = Arc::new(Watched::new(book));
    let kept = book.clone();
    let server = Server::start(move |seen| match (seen.method.as_str(), seen.looked_up()) {
        ("GET", Some(name)) => http::found(name),
        ("GET", None) => http::user(seen.id()),
        _ => set(seen, &kept),
    });
    (server, book)
}

fn set(seen: &Seen, book: &Watched<Book>) -> Act {
    let password = seen.password().expect("a password");
    let (name, number) = read(&password);
    assert_eq!(name, seen.id(), "somebody else's password");
    let (delay, hold) = book.with(|book| {
        book.accounts.entry(name.clone()).or_default().arrived.push(number);
        book.in_delay += 1;
        let hold = book.hold == Hold::Wanted;
        if hold {
            book.hold = Hold::Held { user: name.clone(), number };
        }
        (book.rng.below(DELAY_MS + 1), hold)
    });
    if hold {
        book.wait("a late request", |book| book.hold == Hold::Released);
    } else {
        thread::sleep(Duration::from_millis(delay));
    }
    book.with(|book| {
        book.in_delay -= 1;
        if hold {
            book.hold = Hold::None;
        }
        let account = book.accounts.entry(name).or_default();
        if account.current == Some(number) {
            book.twice += 1;
            return http::invalid_value("the password is in the password history");
        }
        account.current = Some(number);
        account.set.push(number);
        http::say(204, "")
    })
}

fn password(user: &str, number: u64) -> String {
    format!("{user}/{number}/ぱすわーど🔑")
}

fn read(password: &str) -> (String, u64) {
    let mut parts = password.split('/');
    let name = parts.next().expect("a name").to_owned();
    (name, parts.next().and_then(|number| number.parse().ok()).expect("a number"))
}

// === The source ===

/// Captures passwords of all users until told to stop, whether a service runs or not.
fn source(agent: Agent, ledger: Arc<Watched<Ledger>>, stop: Arc<AtomicBool>) -> JoinHandle<Agent> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut rng = Rng(SEED ^ 2);
        let mut number = 0;
        while !stop.load(Ordering::SeqCst) {
            let user = format!("u{:02}", rng.below(USERS));
            number += 1;
            let envelope = office::seal(&agent, &user, &password(&user, number));
            let taken = runtime.block_on(agent.hand_over(&envelope)).expect("a spool");
            ledger.with(|ledger| {
                match taken {
                    Taken::Acknowledged(status) => {
                        let known = ["queued", "duplicate"].contains(&status.0.as_str());
                        assert!(known, "seed {SEED:#x}: {status:?}");
                        ledger.acknowledged += 1;
                    }
                    Taken::Spooled { .. } => ledger.spooled += 1,
                    Taken::SetAside { why } => panic!("seed {SEED:#x}: set aside: {why}"),
                }
                ledger.last.insert(user, number);
            });
        }
        until("the spool is empty", || runtime.block_on(flush::run(&agent)).code == 0);
        agent
    })
}

// === The service ===

/// The service that is killed, with a log of its own for each life.
struct Mortal {
    product: Product,
    daemon: Option<Daemon>,
    lives: u64,
}

impl Mortal {
    fn born(server: &Server) -> Self {
        let config = office::config("info", &[("cloud", server.base_url())], POLICY);
        let mut mortal = Self { product: office::product(&config), daemon: None, lives: 0 };
        mortal.start();
        mortal
    }

    fn start(&mut self) {
        if self.lives > 0 {
            let to = self.product.path(&format!("life-{}.log", self.lives));
            std::fs::rename(self.product.path("daemon.log"), to).expect("it logged");
        }
        self.lives += 1;
        self.daemon = Some(Daemon::start(&self.product));
    }

    /// At once, and without a word.
    fn kill(&mut self, server: &Server) {
        drop(self.daemon.take());
        server.hear_out();
    }

    /// How often something was logged, in all lives.
    fn count(&self, event: &str) -> usize {
        let last = std::iter::once(self.product.read("daemon.log"));
        let lives = (1..self.lives).map(|life| self.product.read(&format!("life-{life}.log")));
        let wanted = format!("\"event_id\":\"{event}\"");
        lives.chain(last).map(|log| log.matches(&wanted).count()).sum()
    }
}

fn moment(kill: u64, rng: &mut Rng) -> Moment {
    // Not among the last: the grace of a late request is to end while others are under way.
    if kill < 60 && kill % 10 == 5 {
        return Moment::SettingLate;
    }
    match rng.below(3) {
        0 => Moment::Any,
        1 => Moment::Acknowledged,
        _ => Moment::Setting,
    }
}

fn live_and_die(
    mortal: &mut Mortal,
    server: &Server,
    book: &Watched<Book>,
    ledger: &Watched<Ledger>,
) {
    let mut rng = Rng(SEED);
    for kill in 0..KILLS {
        match moment(kill, &mut rng) {
            Moment::Any => thread::sleep(Duration::from_millis(rng.below(300))),
            Moment::Acknowledged => {
                let before = ledger.with(|ledger| ledger.acknowledged);
                ledger.wait("an acknowledgement", |ledger| ledger.acknowledged > before);
            }
            Moment::Setting => book.wait("a delivery", |book| book.in_delay > 0),
            Moment::SettingLate => {
                book.with(|book| book.hold = Hold::Wanted);
                book.wait("a delivery", |book| matches!(book.hold, Hold::Held { .. }));
            }
        }
        mortal.kill(server);
        mortal.start();
        let hold = book.with(|book| book.hold.clone());
        if let Hold::Held { user, number } = hold {
            book.wait("a newer password", |book| book.accounts[&user].current > Some(number));
            book.with(|book| book.hold = Hold::Released);
            book.wait("the late request", |book| book.hold == Hold::None);
        }
    }
}

#[test]
fn i01_i08_o33_m6_a_hundred_kills_lose_nothing_and_reorder_nothing() {
    let (server, book) = target();
    let mut mortal = Mortal::born(&server);
    let agent = office::agent(&mortal.product);
    let (ledger, stop) = (Arc::new(Watched::new(Ledger::default())), Arc::default());
    let source = source(agent, ledger.clone(), Arc::clone(&stop));
    live_and_die(&mut mortal, &server, &book, &ledger);
    stop.store(true, Ordering::SeqCst);
    source.join().expect("nothing was refused");
    until("everything is delivered", || office::waiting(&mortal.product).is_empty());
    let (ledger, book) = (ledger.state.lock().unwrap(), book.state.lock().unwrap());
    assert_eq!(ledger.last.len() as u64, USERS);
    for (user, last) in &ledger.last {
        let account = &book.accounts[user];
        assert_eq!(account.current, Some(*last), "seed {SEED:#x}: {user} has not its newest");
        let arrived = &account.arrived;
        assert!(arrived.is_sorted(), "seed {SEED:#x}: {user} was set back: {arrived:?}");
    }
    // Nobody lost count, and nobody took a password that was there already for a refusal.
    let status = mortal.product.json(&["password", "status", "--json"]);
    assert_eq!(status["agents"][0]["missing"], 0, "seed {SEED:#x}: {status}");
    for event in ["PW022", "PW025", "PW032", "PW034", "PW050", "PW052"] {
        assert_eq!(mortal.count(event), 0, "seed {SEED:#x}: {event}");
    }
    // It was what it is meant to be.
    assert!(ledger.acknowledged > KILLS && book.twice > 0 && mortal.count("PW011") > 0);
    println!(
        "{} captures acknowledged, {} spooled; {} set, {} of them asked for twice",
        ledger.acknowledged,
        ledger.spooled,
        book.accounts.values().map(|account| account.set.len()).sum::<usize>(),
        book.twice
    );
}

#[test]
fn m6_t37_what_a_dead_service_asked_for_last_does_not_stay() {
    let (server, book) = target();
    let mut mortal = Mortal::born(&server);
    book.with(|book| book.hold = Hold::Wanted);
    let taro = |mortal: &Mortal, number| {
        let sent = office::send(&mortal.product, "login:taro", &password("taro", number));
        assert_eq!((sent.code, sent.stdout.as_str()), (0, "queued\n"), "{sent}");
    };
    taro(&mortal, 1);
    book.wait("a delivery", |book| matches!(book.hold, Hold::Held { .. }));
    mortal.kill(&server);
    mortal.start();
    taro(&mortal, 2);
    book.wait("the newer password", |book| book.accounts["taro"].current == Some(2));
    book.with(|book| book.hold = Hold::Released);
    book.wait("the late request", |book| book.hold == Hold::None);
    assert_eq!(book.with(|book| book.accounts["taro"].current), Some(1));
    book.wait("the newer password again", |book| book.accounts["taro"].current == Some(2));
    until("everything is delivered", || office::waiting(&mortal.product).is_empty());
    // The older one was asked for again after the crash, and never after the newer one.
    let arrived = book.with(|book| book.accounts["taro"].arrived.clone());
    assert!(arrived.is_sorted() && arrived.ends_with(&[2, 2]), "{arrived:?}");
}
