//! The worker with a clock, a server and rows that the tests hold in their hands.

use std::collections::VecDeque;

use async_trait::async_trait;
use expect_test::expect_file;
use kakehi_engine::password::{Category, Operation};

use super::*;
use crate::door::{Lookup, NotNow, Person};
use crate::envelope::Metadata;
use crate::mail::Fault;

const NOON: i64 = 1_795_336_200;

const BUSY: Result<(), MailError> = Err(MailError::Temporary(Fault::Reply(451)));
const NEVER: Result<(), MailError> = Err(MailError::Permanent(Fault::Reply(550)));
const GONE: Result<(), MailError> = Err(MailError::Temporary(Fault::Connection));

/// Everything that the worker meets.
#[derive(Default)]
struct World {
    now: Mutex<i64>,
    /// What the server answers next; mails are taken when nothing is left.
    answers: Mutex<VecDeque<Result<(), MailError>>>,
    /// What the server was offered.
    offered: Mutex<Vec<Message>>,
    rows: MemoryRows,
    dropped: Mutex<Vec<Dropped>>,
    /// When the row that failed last is tried again.
    next_try: Mutex<Option<i64>>,
}

impl World {
    fn answer(&self, answers: &[Result<(), MailError>]) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn advance(&self, seconds: i64) {
        *self.now.lock().unwrap() += seconds;
    }

    fn offered(&self) -> Vec<String> {
        self.offered.lock().unwrap().iter().map(|mail| mail.to.address.clone()).collect()
    }

    /// Seconds from now until the row that failed last is tried again.
    fn pause(&self) -> i64 {
        self.next_try.lock().unwrap().expect("a row failed") - *self.now.lock().unwrap()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOON + *self.now.lock().unwrap())
    }
}

#[async_trait]
impl Mailer for World {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        self.offered.lock().unwrap().push(message.clone());
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }
}

#[async_trait]
impl MailRows for World {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>, RowsError> {
        self.rows.due(now, limit).await
    }

    async fn sent(&self, id: i64) -> Result<(), RowsError> {
        self.rows.sent(id).await
    }

    async fn failed(&self, id: i64, next_try: Timestamp) -> Result<(), RowsError> {
        *self.next_try.lock().unwrap() = Some(next_try.unix_seconds() - NOON);
        self.rows.failed(id, next_try).await
    }

    async fn dropped(&self, id: i64, why: Dropped) -> Result<(), RowsError> {
        self.dropped.lock().unwrap().push(why);
        self.rows.dropped(id, why).await
    }
}

impl Users for World {
    fn person(
        &self,
        _: &Metadata,
        _: Operation,
        _: &BTreeSet<ConnectorName>,
    ) -> Result<Person, NotNow> {
        Err(NotNow { reason: "mails do not ask".into() })
    }

    fn lookup(&self, _: &UserKey, _: &ConnectorName, _: &str) -> Option<Lookup> {
        None
    }

    fn contact(&self, user: &UserKey) -> Option<Contact> {
        let of = |address: &str, name: &str| Contact {
            address: address.into(),
            display_name: name.into(),
        };
        match &*user.0 {
            "nobody" => None,
            "taro" => Some(of("taro@example.test", "山田 太郎")),
            other => Some(of(&format!("{other}@example.test"), "")),
        }
    }
}

fn options() -> MailOptions {
    let admin = |name: &str| Contact {
        address: format!("{name}@example.test"),
        display_name: format!("管理者 {name}"),
    };
    MailOptions {
        audience: Audience { admins: Kind::ALL.into(), ..Audience::default() },
        admins: vec![admin("one"), admin("two")],
        target_names: [("cloud".into(), "クラウド メール".to_owned())].into(),
        contact: Some("情報システム部 help@example.test".into()),
        utc_offset_minutes: 540,
        ..MailOptions::default()
    }
}

fn worker_with(options: MailOptions) -> (Arc<World>, MailWorker) {
    let world = Arc::new(World::default());
    let templates = Templates::shipped().unwrap();
    let worker = MailWorker::new(
        world.clone(),
        world.clone(),
        world.clone(),
        templates,
        world.clone(),
        options,
    );
    (world, worker)
}

fn worker() -> (Arc<World>, MailWorker) {
    worker_with(options())
}

fn row(world: &World, form: Form, user: &str) -> MailRow {
    MailRow {
        id: 0,
        kind: form.kind,
        recipient: form.recipient,
        target: "cloud".into(),
        user: user.into(),
        login: format!("{user}.login"),
        episode: 1,
        attempt: 1,
        category: Some(Category::TooShort),
        expires: Some(world.now().plus(3600)),
        created: world.now(),
    }
}

const REJECTED: Form = Form::user(Kind::Rejected);
const DOWN: Form = Form::admins(Kind::TargetDown);

fn push(world: &World, form: Form, user: &str) {
    world.rows.push(row(world, form, user));
}

fn count(round: &Round, outcome: Outcome) -> u64 {
    round.count(outcome)
}

#[tokio::test]
async fn every_mail_reads_as_it_should() {
    for form in Form::all() {
        let (world, worker) = worker();
        push(&world, form, "taro");
        worker.round().await;
        let mail = world.offered.lock().unwrap()[0].clone();
        let text = format!(
            "To: {} <{}>\nSubject: {}\n\n{}",
            mail.to.display_name, mail.to.address, mail.subject, mail.body
        );
        let name = form.name().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/golden");
        expect_file![format!("{folder}/{name}.txt")].assert_eq(&text);
    }
}

#[tokio::test]
async fn a_mail_without_category_expiry_name_and_contact_reads_well() {
    let (world, worker) = worker_with(MailOptions::default());
    let mut row = row(&world, REJECTED, "hanako");
    (row.category, row.expires) = (None, None);
    world.rows.push(row);
    worker.round().await;
    let mail = world.offered.lock().unwrap()[0].clone();
    for words in ["hanako.login 様", "期限はありません。", "管理者 まで", "ask your administrator."]
    {
        assert!(mail.body.contains(words), "{words}: {}", mail.body);
    }
    assert!(mail.subject.contains("】cloud の"), "{}", mail.subject);
}

#[tokio::test]
async fn m08_only_own_words_are_in_a_mail() {
    let (world, worker) = worker();
    let mut row = row(&world, REJECTED, "taro");
    row.login = "taro\r\n\r\n[お願い]\r\nhttps://evil.example.test/?token=1".into();
    world.rows.push(row);
    worker.round().await;
    let mail = world.offered.lock().unwrap()[0].clone();
    // A name keeps to its line, whatever it holds: the lines are those of the template.
    let (shipped, line) = (include_str!("../templates/rejected.txt"), "evil.example.test");
    assert_eq!(mail.body.lines().count() + 2, shipped.lines().count());
    let odd: Vec<&str> = mail.body.lines().filter(|found| found.contains(line)).collect();
    assert_eq!(odd.len(), 2, "{odd:?}");
    assert!(odd.iter().all(|found| found.starts_with("taro [お願い] https:")), "{odd:?}");
}

#[tokio::test]
async fn n20_each_attempt_is_told_with_the_same_words() {
    let (world, worker) = worker();
    for attempt in 1..=3 {
        world.rows.push(MailRow { attempt, ..row(&world, REJECTED, "taro") });
    }
    worker.round().await;
    let mails = world.offered.lock().unwrap();
    assert_eq!(mails.len(), 3);
    assert!(mails.iter().all(|mail| mail.body == mails[0].body));
    let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "three mails, not one three times");
}

#[tokio::test]
async fn d11_mail_off_for_a_kind_sends_nothing() {
    let audience = Audience { users: BTreeSet::new(), admins: [Kind::TargetDown].into() };
    let (world, worker) = worker_with(MailOptions { audience, ..options() });
    push(&world, REJECTED, "taro");
    push(&world, Form::admins(Kind::Expired), "taro");
    push(&world, Form::user(Kind::TargetDown), "taro");
    let round = worker.round().await;
    assert_eq!(count(&round, Outcome::Dropped(Dropped::Off)), 3);
    assert!(world.offered().is_empty() && world.rows.is_empty());
}

#[tokio::test]
async fn i07_a_row_is_one_accepted_mail_however_often_it_is_tried() {
    let (world, worker) = worker();
    push(&world, REJECTED, "taro");
    world.answer(&[BUSY, GONE, BUSY, GONE]);
    let mut taken = 0;
    for _ in 0..200 {
        taken += count(&worker.round().await, Outcome::Sent);
        world.advance(60);
    }
    assert_eq!((taken, world.offered().len()), (1, 5));
    let mails = world.offered.lock().unwrap();
    assert!(mails.iter().all(|mail| mail.id == mails[0].id), "known again by who got it twice");
}

#[tokio::test]
async fn pauses_double_from_half_a_minute_to_an_hour() {
    let (world, worker) = worker();
    push(&world, REJECTED, "taro");
    let mut pauses = vec![];
    for _ in 0..11 {
        world.answer(&[BUSY]);
        assert_eq!(count(&worker.round().await, Outcome::Failed), 1);
        pauses.push(world.pause());
        world.advance(world.pause() - 1);
        assert_eq!(worker.round().await, Round::default(), "not earlier");
        world.advance(1);
    }
    assert_eq!(pauses, [30, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}

#[tokio::test]
async fn a_mail_of_a_day_is_given_up() {
    let (world, worker) = worker();
    push(&world, REJECTED, "taro");
    let mut outcomes = BTreeMap::new();
    for _ in 0..24 * 60 {
        world.answer(&[BUSY]);
        outcomes.extend(worker.round().await.outcomes);
        world.advance(60);
    }
    assert!(world.rows.is_empty());
    assert_eq!(*world.dropped.lock().unwrap(), [Dropped::Aged]);
    push(&world, REJECTED, "taro");
    world.advance(24 * 60 * 60);
    let offered = world.offered().len();
    assert_eq!(count(&worker.round().await, Outcome::Dropped(Dropped::Aged)), 1);
    assert_eq!(world.offered().len(), offered, "an old row is not even offered");
}

#[tokio::test]
async fn a_final_refusal_ends_a_row_and_no_other() {
    let (world, worker) = worker();
    push(&world, REJECTED, "taro");
    push(&world, REJECTED, "hanako");
    world.answer(&[NEVER]);
    let round = worker.round().await;
    assert_eq!(count(&round, Outcome::Dropped(Dropped::Refused)), 1);
    assert_eq!(count(&round, Outcome::Sent), 1);
    assert_eq!(*world.dropped.lock().unwrap(), [Dropped::Refused]);
    assert!(world.rows.is_empty());
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_once_per_pause() {
    let (world, worker) = worker();
    (0..50).for_each(|n| push(&world, REJECTED, &format!("user{n}")));
    world.answer(&[GONE; 4]);
    let mut asked = vec![];
    for second in 0..=300 {
        let before = world.offered().len();
        worker.round().await;
        if world.offered().len() > before {
            asked.push(second);
        }
        world.advance(1);
    }
    // Pauses of 30, 60, 120 and 240 seconds; the next look would be at 450.
    assert_eq!(asked, [0, 30, 90, 210]);
    world.advance(150);
    assert_eq!(count(&worker.round().await, Outcome::Sent), 50);
}

#[tokio::test]
async fn each_administrator_gets_a_mail_once() {
    let (world, worker) = worker();
    push(&world, Form::admins(Kind::MaxRetries), "taro");
    world.answer(&[Ok(()), BUSY]);
    worker.round().await;
    assert_eq!(world.offered(), ["one@example.test", "two@example.test"]);
    world.advance(30);
    worker.round().await;
    assert_eq!(world.offered()[2..], ["two@example.test"], "the first one has it");
    assert!(world.rows.is_empty() && worker.memory().taken.is_empty());
    push(&world, Form::admins(Kind::MaxRetries), "hanako");
    world.answer(&[NEVER]);
    worker.round().await;
    assert_eq!(world.offered()[3..], ["one@example.test", "two@example.test"]);
    assert!(world.dropped.lock().unwrap().is_empty(), "one of them has it");
}

#[tokio::test]
async fn too_many_mails_wait_for_their_hour() {
    let caps = Caps { per_hour: 10, per_user_per_day: 100 };
    let (world, worker) = worker_with(MailOptions { caps, ..options() });
    (0..25).for_each(|n| push(&world, REJECTED, &format!("user{n}")));
    let round = worker.round().await;
    assert_eq!((count(&round, Outcome::Sent), count(&round, Outcome::Waiting)), (10, 15));
    assert_eq!(world.pause(), 3600);
    world.advance(3599);
    assert_eq!(worker.round().await, Round::default());
    world.advance(1);
    assert_eq!(count(&worker.round().await, Outcome::Sent), 10);
    world.advance(3600);
    assert_eq!(count(&worker.round().await, Outcome::Sent), 5);
    assert!(world.rows.is_empty());
}

#[tokio::test]
async fn one_user_gets_no_flood() {
    let caps = Caps { per_hour: 1_000, per_user_per_day: 2 };
    let (world, worker) = worker_with(MailOptions { caps, ..options() });
    for episode in 1..=4 {
        world.rows.push(MailRow { episode, ..row(&world, REJECTED, "taro") });
    }
    push(&world, REJECTED, "hanako");
    let round = worker.round().await;
    // Their turn would come in a day, when they are too old.
    assert_eq!(count(&round, Outcome::Dropped(Dropped::Capped)), 2);
    assert_eq!(world.offered(), ["taro@example.test", "taro@example.test", "hanako@example.test"]);
    assert!(world.rows.is_empty());
}

#[tokio::test]
async fn outages_are_told_once_and_whatever_else_was_sent() {
    let caps = Caps { per_hour: 0, per_user_per_day: 0 };
    let (world, worker) = worker_with(MailOptions { caps, ..options() });
    (0..3).for_each(|n| push(&world, DOWN, &format!("user{n}")));
    let round = worker.round().await;
    assert_eq!(world.offered(), ["one@example.test", "two@example.test"]);
    assert_eq!(count(&round, Outcome::Dropped(Dropped::Merged)), 2);
    world.advance(7200);
    push(&world, DOWN, "user9");
    assert_eq!(count(&worker.round().await, Outcome::Dropped(Dropped::Merged)), 1);
    worker.recovered(&"cloud".into());
    worker.recovered(&"cloud".into());
    push(&world, DOWN, "user9");
    worker.round().await;
    let subjects: Vec<String> =
        world.offered.lock().unwrap().iter().skip(2).map(|mail| mail.subject.clone()).collect();
    let kinds: Vec<bool> = subjects.iter().map(|subject| subject.contains("復旧")).collect();
    assert_eq!(kinds, [true, true, false, false], "{subjects:?}");
}

#[tokio::test]
async fn the_end_of_an_outage_is_not_told_unless_wanted() {
    let (world, worker) = worker_with(MailOptions { audience: Audience::default(), ..options() });
    push(&world, DOWN, "taro");
    worker.round().await;
    worker.recovered(&"cloud".into());
    assert_eq!(worker.round().await, Round::default());
    assert_eq!(world.offered().len(), 2);
}

#[tokio::test]
async fn without_an_address_there_is_no_mail() {
    let (world, worker) = worker_with(MailOptions { admins: vec![], ..options() });
    push(&world, REJECTED, "nobody");
    push(&world, DOWN, "taro");
    let round = worker.round().await;
    assert_eq!(count(&round, Outcome::Dropped(Dropped::NoAddress)), 2);
    assert!(world.rows.is_empty() && world.offered().is_empty());
}

/// Rows that can be read, and not written.
struct ReadOnly(Arc<World>);

#[async_trait]
impl MailRows for ReadOnly {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>, RowsError> {
        self.0.rows.due(now, limit).await
    }

    async fn sent(&self, _: i64) -> Result<(), RowsError> {
        Err(RowsError("disk full".into()))
    }

    async fn failed(&self, _: i64, _: Timestamp) -> Result<(), RowsError> {
        Err(RowsError("disk full".into()))
    }

    async fn dropped(&self, _: i64, _: Dropped) -> Result<(), RowsError> {
        Err(RowsError("disk full".into()))
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_closed_is_not_mailed_again() {
    let world = Arc::new(World::default());
    let worker = MailWorker::new(
        Arc::new(ReadOnly(world.clone())),
        world.clone(),
        world.clone(),
        Templates::shipped().unwrap(),
        world.clone(),
        options(),
    );
    push(&world, REJECTED, "taro");
    for _ in 0..5 {
        assert!(!worker.round().await.more);
        world.advance(60);
    }
    assert_eq!(world.offered().len(), 1);
}

#[tokio::test]
async fn a_running_worker_is_woken_and_stopped() {
    let (world, worker) = worker();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = worker.run(async { drop(stopped.await) });
    let driving = async {
        (0..250).for_each(|n| push(&world, REJECTED, &format!("user{n}")));
        worker.wake();
        while world.offered().len() < 250 {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
    };
    tokio::join!(running, driving);
    assert!(world.rows.is_empty());
}
