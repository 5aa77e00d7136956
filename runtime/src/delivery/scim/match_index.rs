//! Matching before create: keys flow in, the objects that carry them flow out (delivery.md 5, 12).
//!
//! Few look-ups ask by filter, many are answered from one listing (PF-16). Nothing the server says
//! is believed: filters are tried on questions with a known answer, every hit is compared here
//! (DV-02), and a listing ends when it shows nothing new, whatever its totals say (DV-05).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kakehi_engine::object::AttributeName;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use super::client::{Client, Request};
use super::map::{self, Resource};
use super::path::Path;
use super::profile::{Page, PageStyle};
use super::response::{self, Answer};
use super::schema::{self, ResourceType};
use super::write::{id_of, read_refused};
use crate::edge::{MatchKeys, TargetError};

/// Up to so many objects are looked up one by one; more of them cost less by listing the target.
const FILTERED_LOOKUPS_MAX: usize = 10;

/// Largest target that is listed: beyond it a listing is taken for one that never ends.
const LISTING_OBJECTS_MAX: usize = 5_000_000;

/// How often in a cycle a conflict may have the target listed again.
const RELISTINGS_PER_CYCLE_MAX: u32 = 3;

/// Finds objects of a target by their match keys.
pub struct MatchIndex {
    page: Page,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether filters answer rightly; `None` until it was tried.
    filters: Option<bool>,
    /// How listings go on, once it was tried.
    style: Option<PageStyle>,
    /// By endpoint.
    listings: BTreeMap<&'static str, Listing>,
    relistings: u32,
    /// A look-up was contradicted in this cycle: filters are left alone until the next one.
    contradicted: bool,
}

/// All objects of one class, by the values of their match attributes. Nothing else is kept.
#[derive(Default)]
struct Listing {
    attributes: BTreeSet<AttributeName>,
    ids: Vec<Box<str>>,
    /// Positions in `ids`, by attribute and folded value.
    by_key: BTreeMap<AttributeName, HashMap<Box<str>, Vec<u32>>>,
}

/// Where a listing goes on.
enum Position {
    Index(usize),
    Cursor(String),
    Everything,
}

// === impl MatchIndex ===

impl MatchIndex {
    pub fn new(page: Page) -> Self {
        Self { page, state: Mutex::default() }
    }

    /// Forgets the listings: a new cycle sees the target as it is then.
    pub async fn begin_cycle(&self) {
        let mut state = self.state.lock().await;
        state.listings.clear();
        state.relistings = 0;
        state.contradicted = false;
    }

    /// An object may have come into being that the listing does not have.
    pub async fn forget(&self, kind: ResourceType) {
        self.state.lock().await.listings.remove(kind.endpoint);
    }

    /// The target has an object that no look-up found: filters and the listing are not believed.
    pub async fn contradicted(&self, kind: ResourceType) {
        let mut state = self.state.lock().await;
        if state.relistings < RELISTINGS_PER_CYCLE_MAX {
            state.relistings += 1;
            state.contradicted = true;
            state.listings.remove(kind.endpoint);
        }
    }

    /// Ids of the objects that carry each of the wanted keys, as far as a listing or a filter
    /// tells.
    pub async fn find(
        &self,
        client: &Client,
        kind: ResourceType,
        wanted: &[MatchKeys],
    ) -> Result<Vec<Vec<String>>, TargetError> {
        let attributes: BTreeSet<AttributeName> =
            wanted.iter().flatten().map(|(name, _)| name.clone()).collect();
        let mut state = self.state.lock().await;
        if !state.lists(kind, &attributes)
            && wanted.len() <= FILTERED_LOOKUPS_MAX
            && !state.contradicted
            && self.filters_work(client, &mut state).await?
        {
            // Others may look up meanwhile.
            drop(state);
            let lookups: Vec<_> = wanted.iter().map(|keys| filtered(client, kind, keys)).collect();
            let found: Vec<_> =
                stream::iter(lookups).buffered(client.window.size()).try_collect().await?;
            if let Some(found) = found.into_iter().collect() {
                return Ok(found);
            }
            state = self.state.lock().await;
            state.filters = Some(false);
        }
        if !state.lists(kind, &attributes) {
            let listing = self.list(client, kind, attributes, &mut state).await?;
            state.listings.insert(kind.endpoint, listing);
        }
        let listing = &state.listings[kind.endpoint];
        Ok(wanted.iter().map(|keys| listing.find(keys)).collect())
    }

    /// Tries filters once: one that must find nothing and one that must be refused.
    async fn filters_work(&self, client: &Client, state: &mut State) -> Result<bool, TargetError> {
        if let Some(known) = state.filters {
            return Ok(known);
        }
        let nobody = format!("kakehi-canary-{}", client.clock().now().0);
        let negative = format!("userName eq {}", json!(nobody));
        let finds_nothing = match search(client, schema::USER, &negative).await? {
            Answer::Done(body) => resources(&body).is_empty(),
            Answer::Refused(_) => false,
        };
        let works = finds_nothing && {
            let garbage = search(client, schema::USER, "userName kakehi-canary").await?;
            matches!(garbage, Answer::Refused(refusal) if refusal.status < 500)
        };
        state.filters = Some(works);
        Ok(works)
    }

    async fn list(
        &self,
        client: &Client,
        kind: ResourceType,
        attributes: BTreeSet<AttributeName>,
        state: &mut State,
    ) -> Result<Listing, TargetError> {
        let style = match state.style {
            Some(style) => style,
            None => self.try_paging(client, kind).await?,
        };
        state.style = Some(style);
        let mut listing = Listing { attributes, ..Listing::default() };
        let mut seen: HashSet<Box<str>> = HashSet::new();
        let mut position = Some(match style {
            PageStyle::Index => Position::Index(1),
            PageStyle::Cursor => Position::Cursor(String::new()),
            PageStyle::None => Position::Everything,
        });
        while let Some(at) = position {
            let body = match client.send(self.page_request(kind, &listing, &at)).await? {
                Answer::Done(body) => body,
                Answer::Refused(refusal) => return Err(read_refused(client, &refusal)),
            };
            let page = resources(&body);
            let known = seen.len();
            for object in page.iter().filter_map(Json::as_object) {
                if let Some(id) = id_of(object)
                    && seen.insert(id.as_str().into())
                {
                    listing.add(id, object);
                }
            }
            if seen.len() > LISTING_OBJECTS_MAX {
                return Err(response::protocol(&client.name, "its listing does not end".into()));
            }
            // Some servers repeat an object past the end, some count wrong: only news goes on.
            position = if seen.len() > known { at.next(page.len(), &body) } else { None };
        }
        Ok(listing)
    }

    /// Which way of paging the target takes: the profile's, or what a first question shows.
    async fn try_paging(
        &self,
        client: &Client,
        kind: ResourceType,
    ) -> Result<PageStyle, TargetError> {
        if self.page.style != PageStyle::Index {
            return Ok(self.page.style);
        }
        let request = Request::new(Method::GET, kind.endpoint)
            .query("startIndex", "1")
            .query("count", "1")
            .query("excludedAttributes", kind.bulky);
        Ok(match client.send(request).await? {
            Answer::Done(body) if resources(&body).len() <= 1 => PageStyle::Index,
            // Cursor-only servers do not know an index (RFC 9865 section 2).
            Answer::Refused(refusal) if refusal.status == 501 => PageStyle::Cursor,
            _ => PageStyle::None,
        })
    }

    fn page_request(&self, kind: ResourceType, listing: &Listing, at: &Position) -> Request<'_> {
        let names: Vec<&str> = listing.attributes.iter().map(AttributeName::as_str).collect();
        let request = Request::new(Method::GET, kind.endpoint).query("attributes", names.join(","));
        let count = self.page.max.to_string();
        match at {
            Position::Index(start) => {
                request.query("startIndex", start.to_string()).query("count", count)
            }
            Position::Cursor(cursor) => request.query("cursor", cursor).query("count", count),
            Position::Everything => request,
        }
    }
}

// === impl State ===

impl State {
    /// Whether a listing answers questions for these attributes.
    fn lists(&self, kind: ResourceType, attributes: &BTreeSet<AttributeName>) -> bool {
        let listing = self.listings.get(kind.endpoint);
        listing.is_some_and(|listing| listing.attributes.is_superset(attributes))
    }
}

// === impl Position ===

impl Position {
    fn next(&self, page_len: usize, body: &Option<Resource>) -> Option<Self> {
        match self {
            Self::Index(start) => Some(Self::Index(start + page_len)),
            Self::Cursor(_) => {
                let next = body.as_ref()?.get("nextCursor")?.as_str()?;
                (!next.is_empty()).then(|| Self::Cursor(next.to_owned()))
            }
            Self::Everything => None,
        }
    }
}

// === impl Listing ===

impl Listing {
    fn add(&mut self, id: String, object: &Resource) {
        let position = self.ids.len() as u32;
        self.ids.push(id.into());
        for name in &self.attributes {
            for key in keys_of(object, name) {
                let keys = self.by_key.entry(name.clone()).or_default();
                keys.entry(key.into()).or_default().push(position);
            }
        }
    }

    /// The objects with the first key that any object has.
    fn find(&self, keys: &MatchKeys) -> Vec<String> {
        let hits = keys
            .iter()
            .find_map(|(name, value)| self.by_key.get(name)?.get(folded(name, value).as_str()));
        let ids = hits.into_iter().flatten().map(|position| &self.ids[*position as usize]);
        ids.map(|id| id.to_string()).collect()
    }
}

/// Whether an object carries the first of the keys that it shows at all: the check of every hit.
pub fn carries_one(object: &Resource, keys: &MatchKeys) -> bool {
    keys.iter().any(|(name, value)| keys_of(object, name).contains(&folded(name, value)))
}

/// One look-up by filter, key after key; `None` if the server refuses filters.
async fn filtered(
    client: &Client,
    kind: ResourceType,
    keys: &MatchKeys,
) -> Result<Option<Vec<String>>, TargetError> {
    for (name, value) in keys.iter().filter(|(_, value)| !value.is_empty()) {
        let body = match search(client, kind, &format!("{name} eq {}", json!(value))).await? {
            Answer::Done(body) => body,
            Answer::Refused(_) => return Ok(None),
        };
        let wanted = folded(name, value);
        let hits: BTreeSet<String> = resources(&body)
            .iter()
            .filter_map(Json::as_object)
            .filter(|object| keys_of(object, name).contains(&wanted))
            .filter_map(id_of)
            .collect();
        if !hits.is_empty() {
            return Ok(Some(hits.into_iter().collect()));
        }
    }
    Ok(Some(vec![]))
}

async fn search(client: &Client, kind: ResourceType, filter: &str) -> Result<Answer, TargetError> {
    let request = Request::new(Method::GET, kind.endpoint)
        .query("filter", filter)
        .query("excludedAttributes", kind.bulky);
    client.send(request).await
}

/// The objects of a list answer; servers leave the list out when it is empty.
fn resources(body: &Option<Resource>) -> &[Json] {
    let list = body.as_ref().and_then(|body| map::member(body, "Resources"));
    list.and_then(Json::as_array).map_or(&[][..], Vec::as_slice)
}

/// The values of a match attribute in the form they are compared in.
fn keys_of(object: &Resource, name: &AttributeName) -> Vec<String> {
    let values = Path::parse(name.as_str()).map(|path| map::values_at(object, &path));
    let values = values.unwrap_or_default();
    values.iter().filter_map(|value| Some(folded(name, &value.as_text()?))).collect()
}

fn folded(name: &AttributeName, value: &str) -> String {
    match schema::matches_without_case(name.as_str()) {
        true => value.to_lowercase(),
        false => value.to_owned(),
    }
}
