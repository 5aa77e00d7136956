//! Accounts in one forest, mailboxes in another, one cloud directory (R45, provisioning.md 17.1):
//! two real directories, generated rules, a real SCIM server, the program as its users run it.

use kakehi_tests::scenario::{Account, World, master};
use serde_json::{Value as Json, json};

/// What each person ends as. `A` is the account (enabled unless said otherwise), `R` the mailbox,
/// whose account is disabled unless said otherwise; behind it stands the rule that says it, by the
/// words of [`RULES`]. All was measured with the predecessor.
const TABLE: &str = "
case             | sourceAnchor | UPN       | accountEnabled   | displayName | cloud
A then R         | A enabled    | A enabled | true A enabled   | R exchange  | active
R then A         | A enabled    | A enabled | true A enabled   | R exchange  | active
only R           | none         | R common  | false R exchange | R exchange  | absent
only A           | A enabled    | A enabled | true A enabled   | A common    | active
only A, disabled | A common     | A common  | false A common   | A common    | inactive
A gone           | none         | R common  | false R exchange | R exchange  | inactive
both enabled     | A enabled    | A enabled | true A enabled   | R exchange  | active
";

const RULES: [(&str, &str); 3] = [
    ("In from AD - User AccountEnabled", "enabled"),
    ("In from AD - User Common from Exchange", "exchange"),
    ("In from AD - User Common", "common"),
];

/// A row of [`TABLE`]: the cells in their order.
struct Row {
    cells: Vec<&'static str>,
    number: u8,
}

/// What happens to a person, one step before each cycle.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Account,
    Mailbox,
    AccountGone,
    Nothing,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| line.contains('|')).skip(1);
    let cells = |line: &'static str| line.split('|').map(str::trim).collect();
    lines.zip(1..).map(|(line, number)| Row { cells: cells(line), number }).collect()
}

// === impl Row ===

impl Row {
    fn steps(&self) -> [Step; 3] {
        use Step::{Account, AccountGone, Mailbox, Nothing};
        match self.cells[0] {
            "R then A" => [Mailbox, Account, Nothing],
            "only R" => [Mailbox, Nothing, Nothing],
            "only A" | "only A, disabled" => [Account, Nothing, Nothing],
            "A gone" => [Account, Mailbox, AccountGone],
            _ => [Account, Mailbox, Nothing],
        }
    }

    fn account(&self) -> Person {
        let control = if self.cells[0] == "only A, disabled" { 514 } else { 512 };
        let name = format!("jdoe{}", self.number);
        let lines = format!(
            "sAMAccountName: {name}\nuserPrincipalName: {name}@a.example\n\
             displayName: {name} of A\ndepartment: IT\n"
        );
        Person { name, rid: self.number, control, lines }
    }

    /// A linked mailbox; where both are enabled, one of its own.
    fn mailbox(&self) -> Person {
        let own = self.cells[0] == "both enabled";
        let (control, kind) = if own { (512, 1) } else { (514, 2) };
        let (name, login) = (format!("mailbox{}", self.number), format!("jdoe{}", self.number));
        let lines = format!(
            "sAMAccountName: {login}\nmailNickname: {login}\ndisplayName: {login} of R\n\
             mail: {login}@example.test\nproxyAddresses: SMTP:{login}@example.test\n\
             msExchRecipientTypeDetails: {kind}\n{}",
            master(self.number)
        );
        Person { name, rid: self.number + 100, control, lines }
    }

    fn take(&self, step: Step, world: &World) {
        match step {
            Step::Account => self.account().entry().add_to(&world.forest_a),
            Step::Mailbox => self.mailbox().entry().add_to(&world.forest_r),
            Step::AccountGone => self.account().entry().delete_from(&world.forest_a),
            Step::Nothing => {}
        }
    }

    /// What the product makes of the person, in the words of the table.
    fn seen(&self, world: &World) -> Vec<String> {
        let steps = self.steps();
        let gone = steps.contains(&Step::AccountGone);
        let person = match steps.contains(&Step::Account) && !gone {
            true => self.account(),
            false => self.mailbox(),
        };
        let story = world.explain(&person.entry().dn());
        let at_cloud = world.user(&format!("jdoe{}@a.example", self.number));
        let cell = |name: &str| self.won(&story, name);
        let enabled = &story["attributes"]["accountEnabled"]["values"][0];
        vec![
            self.cells[0].to_owned(),
            cell("sourceAnchor"),
            cell("userPrincipalName"),
            format!("{enabled} {}", cell("accountEnabled")),
            cell("displayName"),
            match at_cloud.map(|user| user["active"] == true) {
                None => "absent",
                Some(true) => "active",
                Some(false) => "inactive",
            }
            .to_owned(),
        ]
    }

    /// Whose value it is and by which rule. The value is checked on the way.
    fn won(&self, story: &Json, attribute: &str) -> String {
        let held = &story["attributes"][attribute];
        let Some(value) = held["values"].get(0) else { return "none".to_owned() };
        let winner = &held["winner"];
        let (side, entry) = match winner["source"]["connector"].as_str() {
            Some("forest-a") => ("A", self.account()),
            _ => ("R", self.mailbox()),
        };
        let expected = match attribute {
            "sourceAnchor" => json!(entry.entry().anchor()),
            "userPrincipalName" => {
                json!(format!("jdoe{}@{}.example", self.number, side.to_lowercase()))
            }
            "displayName" => json!(format!("jdoe{} of {side}", self.number)),
            _ => value.clone(),
        };
        assert_eq!(*value, expected, "{}: {attribute}", self.cells[0]);
        let rule = winner["rule"].as_str().expect("a winner has a rule");
        let word = RULES.iter().find(|(name, _)| *name == rule).map_or(rule, |(_, word)| word);
        format!("{side} {word}")
    }
}

/// An account with texts of its own.
struct Person {
    name: String,
    rid: u8,
    control: u32,
    lines: String,
}

// === impl Person ===

impl Person {
    fn entry(&self) -> Account<'_> {
        Account { name: &self.name, rid: self.rid, control: self.control, lines: &self.lines }
    }
}

#[test]
fn r45_the_account_resource_scenario_ends_as_the_predecessor_ends_it() {
    let world = World::start();
    let rows = rows();
    assert_eq!(rows.len(), 7);
    for step in 0..3 {
        for row in &rows {
            row.take(row.steps()[step], &world);
        }
        let run = world.once();
        assert_eq!(run.code, 0, "{run}");
    }
    for row in &rows {
        assert_eq!(row.seen(&world), row.cells, "row `{}`", row.cells[0]);
    }
    // What the target holds is what the person is, whoever said it.
    let user = world.user("jdoe1@a.example").expect("the user is there");
    assert_eq!(user["displayName"], "jdoe1 of R");
    assert_eq!(user["externalId"], rows[0].account().entry().anchor().as_str());
    assert_eq!(user["emails"][0]["value"], "jdoe1@example.test");
    assert_eq!(user["nickName"], "jdoe1");
    let enterprise = &user["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"];
    assert_eq!(enterprise["department"], "IT", "only A says it");
    assert_eq!(world.server.users().len(), 6, "all but `only R`");
    let again = world.once();
    assert_eq!(again.code, 0, "{again}");
    let counts = &again.json()["counts"]["cloud"];
    let zero = counts.as_object().expect("counts").values().all(|count| count == 0);
    assert!(zero, "nothing is left to do: {counts:#}");
}

#[test]
fn a_person_whose_account_goes_is_deleted_where_the_rule_says_so() {
    let world = World::start();
    let rule = "rules/out-to-scim-user-join.yml";
    let text = world.product.read(rule).replace("on_delete: disable", "on_delete: delete");
    world.product.write(rule, &text);
    let row = &rows()[0];
    for step in [Step::Mailbox, Step::Account] {
        row.take(step, &world);
        let run = world.once();
        assert_eq!(run.code, 0, "{run}");
    }
    assert_eq!(world.server.users().len(), 1);
    row.take(Step::AccountGone, &world);
    let run = world.once();
    assert_eq!((run.code, &run.json()["counts"]["cloud"]["delete"]), (0, &json!(1)), "{run}");
    assert_eq!(world.server.users(), Vec::<Json>::new());
    let story = world.explain(&row.mailbox().entry().dn());
    assert_ne!(story["metaverse"], Json::Null, "the mailbox keeps the person: {story:#}");
}

/// Rules of an administrator beside the generated ones, each about entries with a title of its own.
const CUSTOM: &str = "rules:
  - name: In from forest A - No department
    precedence: 50
    connector: forest-a
    direction: inbound
    from: user
    to: person
    link: join
    scope: [[{attr: title, op: EQUAL, value: secret}]]
    module: builtin:declarative
    config: {flows: [{to: department, expr: AuthoritativeNull}]}
  - name: In from forest A - Other Join
    precedence: 60
    connector: forest-a
    direction: inbound
    from: user
    to: person
    link: join
    scope: [[{attr: title, op: EQUAL, value: contested}]]
    join: [[{cs: mail, mv: mail}]]
    module: builtin:declarative
";

#[test]
fn what_cannot_be_decided_is_told_and_nobody_else_suffers() {
    let world = World::start();
    world.product.write("rules/custom.yml", CUSTOM);
    let manifest = world.product.read("rules/manifest.yml");
    let manifest = manifest.replace("include:\n", "include:\n  - custom.yml\n");
    world.product.write("rules/manifest.yml", &manifest);
    let add = |name, rid, lines| {
        let account = Account { name, rid, control: 512, lines };
        account.add_to(&world.forest_a);
        account.dn()
    };
    let secret = add("secret", 1, "sAMAccountName: secret\ndepartment: IT\ntitle: secret\n");
    let first = add("first", 2, "sAMAccountName: first\ndisplayName: First\n");
    let run = world.once();
    assert_eq!(run.code, 0, "{run}");
    let contested = add("contested", 3, "sAMAccountName: contested\ntitle: contested\n");
    let second = add("second", 2, "sAMAccountName: second\n");
    let nameless = add("nameless", 4, "displayName: Nobody\n");
    let run = world.once();
    assert_eq!(run.code, 4, "some objects failed: {run}");

    let story = world.explain(&secret);
    let department = &story["attributes"]["department"];
    assert_eq!(department["values"], json!([]), "{department:#}");
    assert_eq!(department["losers"][0]["rule"], "In from forest A - No department");
    let user = world.user("secret@a.example").expect("the user is there");
    assert!(!user.to_string().contains("\"IT\""), "{user:#}");

    let check = |dn: &str, kind: &str, rest: &str| {
        let story = world.explain(dn);
        assert_eq!(story["metaverse"], Json::Null, "{story:#}");
        let problem = &story["problems"][0];
        let text = problem["message"].as_str().unwrap_or_default();
        assert!(problem["kind"] == kind && text.contains(rest), "{story:#}");
    };
    check(&contested, "join-rules-conflict", "In from forest A - Other Join");
    check(&second, "ambiguous-connector", "already linked to another object of `forest-a`");
    check(&nameless, "flow-error", "AccountName is not present");

    let story = world.explain(&first);
    assert_eq!(story["attributes"]["displayName"]["values"], json!(["First"]));
    assert_eq!(world.server.users().len(), 2, "those that are well, and nobody else");
}
