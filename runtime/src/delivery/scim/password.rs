//! Passwords at a SCIM target: who is meant and a password flow in, what the target made of it
//! flows out (password.md 9).
//!
//! It shares addresses, limits, token and pauses with the rest of the delivery, and no rule: how an
//! answer is to be taken stands in `kakehi_password::classify`.

mod answer;
mod body;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Answer, Category};
use kakehi_password::classify::{self, HttpAnswer, Phase, Rules};
use kakehi_password::door::{Lookup, PasswordTarget, RemoteUser, Reply};
use kakehi_password::precheck;
use kakehi_password::scrub::scrub;
use kakehi_password::secret::Password;
use kakehi_password::target::{DeliverAs, Find};
use reqwest::Method;
use serde_json::json;
use zeroize::Zeroizing;

use self::answer::{Error, Hits};
use super::client::{Client, Lost, Request};
use super::map::Resource;
use super::path::Path;
use super::response::Raw;
use super::{OptionsError, ScimOptions, schema};
use crate::config::secret::Secret;

/// How much of a server's own words is kept for the log of details.
const DETAIL_CHARS_MAX: usize = 300;

/// Hits that are asked for: the second one says that there are several.
const HITS_MAX: &str = "2";

/// How a password is written (RFC 7644 section 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScimStyle {
    /// PATCH with a path.
    #[default]
    PatchPath,
    /// PATCH with an object of attributes.
    PatchValue,
    /// The whole user is read and put back with the password: for servers without PATCH.
    Put,
}

pub struct ScimPasswordOptions {
    /// What the value of a look-up is compared with: `userName`, `emails.value`, ...
    pub match_attribute: String,
    pub find: Find,
    pub style: ScimStyle,
    pub deliver_as: DeliverAs,
    pub classify: Rules,
    /// What can be told without a call (O-35).
    pub precheck: precheck::Rules,
}

/// A SCIM service provider that takes passwords.
pub struct ScimPasswords {
    client: Arc<Client>,
    options: ScimPasswordOptions,
    /// The target was read after a password was written, and showed none.
    trusted: AtomicBool,
    leaking: AtomicBool,
}

/// One write, as far as it does not depend on what the user looks like now.
struct Write<'a> {
    user: &'a RemoteUser,
    password: &'a Password,
    /// The password as it is sent.
    form: &'a str,
}

// === impl ScimPasswords ===

impl ScimPasswords {
    /// Prepares a target with connections of its own; connects to nothing.
    ///
    /// Errors: [`OptionsError`] for a URL, certificate file, token or attribute that cannot be
    /// used.
    pub fn new(scim: &ScimOptions, options: ScimPasswordOptions) -> Result<Self, OptionsError> {
        Self::with(Arc::new(Client::new(scim)?), options)
    }

    pub(super) fn with(
        client: Arc<Client>,
        options: ScimPasswordOptions,
    ) -> Result<Self, OptionsError> {
        match Path::parse(&options.match_attribute) {
            Ok(path) if path.filter.is_none() => {}
            _ => return Err(OptionsError::MatchAttribute { path: options.match_attribute }),
        }
        Ok(Self {
            client,
            options,
            trusted: AtomicBool::new(false),
            leaking: AtomicBool::new(false),
        })
    }

    /// The token of all requests from now on; those under way keep theirs.
    pub fn set_token(&self, token: Arc<Secret>) {
        self.client.set_token(token);
    }

    /// Whether the target showed a password when it was read (W-26). Nothing is sent any more then,
    /// until the process begins anew.
    pub fn leaking(&self) -> bool {
        self.leaking.load(Ordering::SeqCst)
    }

    /// Sends one request. Gives every answer, whatever its status.
    async fn call(
        &self,
        request: Request<'_>,
        secret: Option<Bytes>,
        password: Option<&Password>,
    ) -> Result<Raw, Reply> {
        if self.leaking() {
            return Err(leak());
        }
        self.client.call(request, secret).await.map_err(|lost| {
            let (answer, message) = match lost {
                Lost::NotSent { message, retry_after } => {
                    (Answer::Unavailable { retry_after, server_error: false }, message)
                }
                Lost::Refused(message) => (Answer::Refused, message),
                Lost::Sent(message) => (Answer::Uncertain, message),
            };
            Reply { answer, detail: Some(told(&message, password)) }
        })
    }

    /// What an answer means, with the server's words.
    fn judge(&self, phase: Phase, raw: &Raw, password: Option<&Password>) -> Reply {
        let error = Error::read(raw);
        let answer = HttpAnswer {
            status: raw.status,
            scim_type: error.scim_type.as_deref().map(String::as_str),
            detail: &error.detail,
            retry_after: raw.retry_after,
        };
        let words = error.words(raw.status);
        let told = (!(200..300).contains(&raw.status)).then(|| told(&words, password));
        Reply { answer: classify::http(phase, answer, &self.options.classify), detail: told }
    }

    /// Reads the whole user. What fails here was not sent.
    async fn read(&self, id: &str, password: &Password) -> Result<Raw, Reply> {
        let request = Request::new(Method::GET, schema::USER.endpoint).id(id);
        let raw = self.call(request, None, Some(password)).await?;
        let reply = self.judge(Phase::Set, &raw, Some(password));
        match reply.answer {
            Answer::Ok => Ok(raw),
            Answer::Uncertain => {
                let answer = Answer::Unavailable { retry_after: None, server_error: true };
                Err(Reply { answer, ..reply })
            }
            _ => Err(reply),
        }
    }

    /// The user as an object, for PUT and for its version.
    async fn current(
        &self,
        id: &str,
        password: &Password,
    ) -> Result<(Resource, Option<String>), Reply> {
        let mut raw = self.read(id, password).await?;
        let body = Zeroizing::new(raw.body.take().unwrap_or_default());
        if answer::shows_password(&body) {
            return Err(self.stop());
        }
        let resource: Resource = serde_json::from_slice(&body)
            .map_err(|_| refused("the user that is read is no JSON object".to_owned()))?;
        let etag = raw.etag.or_else(|| answer::version(&resource));
        Ok((resource, etag))
    }

    async fn write(&self, write: &Write<'_>) -> Result<(), Reply> {
        let Write { user, password, form } = *write;
        let mut etag = user.etag.clone();
        for again in [false, true] {
            let mut method = Method::PATCH;
            let mut body = match self.options.style {
                ScimStyle::PatchPath => Some(body::patch_path(form)),
                ScimStyle::PatchValue => Some(body::patch_value(form)),
                ScimStyle::Put => None,
            };
            if again || body.is_none() {
                let (resource, current) = self.current(&user.id, password).await?;
                etag = current;
                if body.is_none() {
                    method = Method::PUT;
                    body = Some(body::put(resource, form));
                }
            }
            let request = Request::new(method, schema::USER.endpoint).id(&user.id);
            let request = request.if_match(etag.as_deref());
            let raw = self.call(request, body, Some(password)).await?;
            if raw.status == 412 && !again {
                // Somebody else changed the user; it says nothing of the password.
                continue;
            }
            return self.accepted(user, raw, password).await;
        }
        Ok(())
    }

    /// Whether a write was carried out, and by a server that keeps passwords to itself.
    async fn accepted(
        &self,
        user: &RemoteUser,
        mut raw: Raw,
        password: &Password,
    ) -> Result<(), Reply> {
        let reply = self.judge(Phase::Set, &raw, Some(password));
        if reply.answer != Answer::Ok {
            return Err(reply);
        }
        let body = Zeroizing::new(raw.body.take().unwrap_or_default());
        if answer::shows_password(&body) {
            return Err(self.stop());
        }
        if answer::is_markup(&body) {
            let message =
                format!("status {} with a page of HTML: is it a SCIM service?", raw.status);
            return Err(refused(message));
        }
        if self.trusted.load(Ordering::SeqCst) {
            return Ok(());
        }
        // A look that fails says nothing: the next password is followed by another one.
        if let Ok(raw) = self.read(&user.id, password).await {
            let body = Zeroizing::new(raw.body.unwrap_or_default());
            if answer::shows_password(&body) {
                return Err(self.stop());
            }
            self.trusted.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Nothing more is sent to a target that shows passwords.
    fn stop(&self) -> Reply {
        self.leaking.store(true, Ordering::SeqCst);
        leak()
    }
}

#[async_trait]
impl PasswordTarget for ScimPasswords {
    fn name(&self) -> &ConnectorName {
        &self.client.name
    }

    async fn find(&self, user: &Lookup) -> Result<RemoteUser, Reply> {
        if let (Find::Cached, Some(id)) = (self.options.find, &user.remote_id) {
            return Ok(RemoteUser { id: id.clone(), etag: None });
        }
        let attribute = self.options.match_attribute.as_str();
        if user.value.is_empty() {
            let message = format!("there is no value to look `{attribute}` up by");
            return Err(Reply { answer: Answer::Rejected(Category::Other), detail: Some(message) });
        }
        // A JSON string is what the value of a filter has to be (RFC 7644 section 3.4.2.2).
        let request = Request::new(Method::GET, schema::USER.endpoint)
            .query("filter", format!("{attribute} eq {}", json!(user.value)))
            .query("attributes", format!("id,{attribute}"))
            .query("count", HITS_MAX);
        let raw = self.call(request, None, None).await?;
        let reply = self.judge(Phase::Find, &raw, None);
        if reply.answer != Answer::Ok {
            return Err(reply);
        }
        Hits::read(&raw).and_then(|hits| hits.only(attribute, &user.value))
    }

    async fn set(&self, user: &RemoteUser, password: &Password) -> Reply {
        if !answer::is_usable(&user.id) {
            return unusable_id();
        }
        let Ok(form) = self.options.deliver_as.form(password) else {
            let answer = Answer::Unavailable { retry_after: None, server_error: false };
            let message = "the system gives no random bytes for a salt".to_owned();
            return Reply { answer, detail: Some(message) };
        };
        match self.write(&Write { user, password, form: &form }).await {
            Ok(()) => Reply { answer: Answer::Ok, detail: None },
            Err(reply) => reply,
        }
    }

    fn refuses(&self, password: &Password) -> Option<Category> {
        self.options.precheck.refuses(password)
    }

    fn close_connections(&self) {
        self.client.close_connections();
    }
}

/// Words for the log of details: without the password in any form, harmless to print, short.
fn told(words: &str, password: Option<&Password>) -> String {
    let words = match password {
        Some(password) => scrub(words, password, DETAIL_CHARS_MAX),
        None => words.to_owned(),
    };
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    words.chars().take(DETAIL_CHARS_MAX).map(harmless).collect()
}

fn refused(message: String) -> Reply {
    Reply { answer: Answer::Refused, detail: Some(message) }
}

fn unusable_id() -> Reply {
    let message = "the user's id is empty or a dot segment".to_owned();
    Reply { answer: Answer::Rejected(Category::Other), detail: Some(message) }
}

fn leak() -> Reply {
    refused(
        "the target shows passwords when a user is read: nothing is sent to it any more; make \
         `password` an attribute that is never returned and start again"
            .to_owned(),
    )
}
