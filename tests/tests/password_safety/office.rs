//! A password-only installation, and short ways to work with it.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use kakehi::service::clock::SystemClock;
use kakehi_engine::password::Operation;
use kakehi_password::agent::client::Address;
use kakehi_password::agent::{Agent, Change, Options};
use kakehi_password::envelope::{Envelope, KeyType};
use kakehi_password::secret::Password;
use kakehi_password::spool::SpoolLimits;
use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::{Answer, Product};
use serde_json::Value as Json;

/// `targets`: names and addresses. `policy`: further lines of `password`, indented by two.
pub fn config(level: &str, targets: &[(&str, String)], policy: &str) -> String {
    let mut text = format!(
        "state: {{path: state}}
log: {{level: {level}}}
http: {{listen: '127.0.0.1:0'}}
credentials: {{cloud-token: {{kind: scim_bearer}}}}
targets:
"
    );
    for (name, base_url) in targets {
        text += &format!("  {name}: {{base_url: '{base_url}', credential: cloud-token}}\n");
    }
    text += "password:\n  agents: {local: {source: corp}}\n  targets:\n";
    for (name, _) in targets {
        text += &format!("    {name}: {{}}\n");
    }
    text + policy
}

/// With a key pair.
pub fn product(config: &str) -> Product {
    let secrets = format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n");
    let product = Product::new(&[("config.yml", config), ("secret.yml", &secrets)]);
    let answer = product.run(&["password", "keys", "new"]);
    assert_eq!(answer.code, 0, "{answer}");
    product
}

/// The agent of the installation, in this process.
pub fn agent(product: &Product) -> Agent {
    let keys = product.state().join("password-keys");
    let files = std::fs::read_dir(&keys).expect("there are keys").flatten();
    let mut public =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|it| it == "pub"));
    let options = Options {
        source: "corp".into(),
        agent: "local".into(),
        key: public.next().expect("a public key"),
        spool: product.path("spool"),
        limits: SpoolLimits::default(),
        intake: Address::Socket(product.state().join("password.sock")),
    };
    Agent::new(&options, Arc::new(SystemClock)).expect("an agent")
}

/// A capture of the agent, sealed.
pub fn seal(agent: &Agent, user: &str, password: &str) -> Envelope {
    let change = Change {
        key_type: KeyType::Login,
        user_key: user.into(),
        login: user.into(),
        captured_at_ms: None,
        operation: Operation::Change,
    };
    let password = Password::new(password.to_owned().into());
    let number = agent.number().expect("the spool can be written");
    agent.seal(&change, number, &password).expect("it can be sealed")
}

/// `kakehi password send`.
pub fn send(product: &Product, user_key: &str, password: &str) -> Answer {
    let spool = product.path("spool");
    let spool = spool.to_str().expect("a path of ours");
    let arguments = ["password", "send", "--user-key", user_key, "--spool", spool];
    let mut command = product.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("it is a pipe");
    input.write_all(password.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What waits, as `kakehi password list` tells it.
pub fn waiting(product: &Product) -> Vec<Json> {
    let list = product.json(&["password", "list", "--json"]);
    list.as_array().expect("a list").clone()
}

/// What became of a user's passwords at a target, oldest first.
pub fn fates(product: &Product, user: &str, target: &str) -> Vec<String> {
    let shown = product.json(&["password", "show", "--json", user]);
    let audit = shown["audit"].as_array().expect("a list");
    let at = audit.iter().filter(|entry| entry["target"] == target);
    at.filter_map(|entry| Some(entry["what"].as_str()?.to_owned())).collect()
}
