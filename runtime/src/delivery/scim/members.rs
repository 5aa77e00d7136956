//! Memberships: who joins and who leaves flows in, chunked PATCH requests go out (delivery.md 8).
//! Adds and removals never share a request, since servers differ in how they take removals.

use std::collections::BTreeSet;

use kakehi_engine::object::Value;
use kakehi_engine::problem::ProblemKind;
use serde_json::{Value as Json, json};

use super::map::{self, Resource};
use super::patch::Change;
use super::profile::RemoveStyle;
use super::response::{self, Answer, Refusal};
use super::write::Writer;
use crate::edge::TargetError;

impl Writer<'_> {
    /// Adds and removes members of one group; `silent` is a way of removing that the server
    /// accepted and did not carry out.
    ///
    /// Gives the body of the last answer. Errors: once a request has succeeded, only
    /// [`TargetError::InDoubt`].
    pub(super) async fn send_members(
        &self,
        id: &str,
        changes: &[Change<'_>],
        silent: Option<RemoveStyle>,
    ) -> Result<Option<Resource>, TargetError> {
        let mut shown = None;
        let mut begun = false;
        for change in changes {
            let (add, remove) = self.difference(id, change).await?;
            if !add.is_empty() {
                shown = self.add(id, &add, &mut begun).await?;
            }
            if !remove.is_empty() {
                shown = self.remove(id, &remove, silent, &mut begun).await?;
            }
        }
        Ok(shown)
    }

    /// Ids that join and ids that leave. Only a whole new list costs a look at the old one.
    async fn difference(
        &self,
        id: &str,
        change: &Change<'_>,
    ) -> Result<(Vec<String>, Vec<String>), TargetError> {
        let Some(wanted) = &change.change.replace else {
            return Ok((ids(&change.change.add), ids(&change.change.remove)));
        };
        let wanted: BTreeSet<String> = ids(wanted).into_iter().collect();
        let present = self.members(id).await?;
        let joins = wanted.difference(&present).cloned().collect();
        let leaves = present.difference(&wanted).cloned().collect();
        Ok((joins, leaves))
    }

    async fn members(&self, id: &str) -> Result<BTreeSet<String>, TargetError> {
        let group = self.read_known(id).await?;
        let listed = map::member(&group, "members").and_then(Json::as_array);
        let values = listed.into_iter().flatten().filter_map(|member| member["value"].as_str());
        Ok(values.map(str::to_owned).collect())
    }

    async fn add(
        &self,
        id: &str,
        joining: &[String],
        begun: &mut bool,
    ) -> Result<Option<Resource>, TargetError> {
        let addition = |chunk: &[String]| {
            vec![json!({ "op": "add", "path": "members", "value": references(chunk) })]
        };
        match self.in_chunks(id, joining, addition, begun).await? {
            Answer::Done(shown) => Ok(shown),
            Answer::Refused(refusal) => Err(self.refused(refusal, *begun)),
        }
    }

    async fn remove(
        &self,
        id: &str,
        leaving: &[String],
        silent: Option<RemoveStyle>,
        begun: &mut bool,
    ) -> Result<Option<Resource>, TargetError> {
        let mut leaving = leaving.to_vec();
        let mut last = None;
        for style in self.learned.removals().into_iter().filter(|style| Some(*style) != silent) {
            let mut removal = self.remove_in(style, id, &leaving, begun).await?;
            if let Answer::Refused(refusal) = &removal
                && refusal.status == 400
                && self.profile.members.readable
            {
                // Many servers refuse to remove who is not there, and say no more than "400".
                let present = self.members(id).await.map_err(|error| self.failed(error, *begun))?;
                let asked = leaving.len();
                leaving.retain(|member| present.contains(member));
                if leaving.is_empty() {
                    return Ok(None);
                }
                if leaving.len() < asked {
                    removal = self.remove_in(style, id, &leaving, begun).await?;
                }
            }
            match removal {
                Answer::Done(shown) => {
                    self.learned.removal_worked(style);
                    return Ok(shown);
                }
                // What the first way met says most: the later ones are guesses.
                Answer::Refused(refusal) if refusal.status == 400 || refusal.is_permanent() => {
                    last = last.or(Some(refusal));
                }
                Answer::Refused(refusal) => return Err(self.refused(refusal, *begun)),
            }
        }
        let none_left = || {
            let message = "the target does not remove members in any way it is allowed".into();
            self.failed(response::rejected(ProblemKind::InvalidValue, message), *begun)
        };
        Err(last.map_or_else(none_left, |refusal| self.refused(refusal, *begun)))
    }

    async fn remove_in(
        &self,
        style: RemoveStyle,
        id: &str,
        leaving: &[String],
        begun: &mut bool,
    ) -> Result<Answer, TargetError> {
        let result = match style {
            RemoveStyle::Filter => self.in_chunks(id, leaving, one_by_one, begun).await,
            RemoveStyle::ValueArray => self.remove_by_values(id, leaving, begun).await,
            RemoveStyle::Replace => self.remove_by_replacing(id, leaving, begun).await,
        };
        result.map_err(|error| self.failed(error, *begun))
    }

    /// Removes by a list of values. A server that overlooks the list removes everybody: the first
    /// time one member alone is taken out, the others are counted and, if need be, put back.
    async fn remove_by_values(
        &self,
        id: &str,
        leaving: &[String],
        begun: &mut bool,
    ) -> Result<Answer, TargetError> {
        if self.learned.value_array_is_proven() {
            return self.in_chunks(id, leaving, by_values, begun).await;
        }
        let (first, others) = leaving.split_at(1);
        let before = self.members(id).await?;
        let trial = self.in_chunks(id, first, by_values, begun).await?;
        if matches!(trial, Answer::Refused(_)) {
            return Ok(trial);
        }
        let after = self.members(id).await?;
        let lost: Vec<String> =
            before.difference(&after).filter(|member| **member != first[0]).cloned().collect();
        if !lost.is_empty() {
            self.add(id, &lost, begun).await?;
            let detail = "a list of members to remove removed others as well".into();
            return Ok(Answer::Refused(Refusal { status: 501, scim_type: None, detail }));
        }
        match others {
            [] => Ok(trial),
            others => self.in_chunks(id, others, by_values, begun).await,
        }
    }

    /// Writes the list of those who stay, where the profile allows it.
    async fn remove_by_replacing(
        &self,
        id: &str,
        leaving: &[String],
        begun: &mut bool,
    ) -> Result<Answer, TargetError> {
        let mut staying = self.members(id).await?;
        for member in leaving {
            staying.remove(member);
        }
        if staying.len() >= self.profile.members.replace_members_max {
            let detail = "its profile does not allow replacing a member list of this size".into();
            return Ok(Answer::Refused(Refusal { status: 501, scim_type: None, detail }));
        }
        let staying: Vec<String> = staying.into_iter().collect();
        let whole =
            vec![json!({ "op": "replace", "path": "members", "value": references(&staying) })];
        let answer = self.patch(id, whole).await?;
        *begun |= matches!(answer, Answer::Done(_));
        Ok(answer)
    }

    /// Sends a member list in as many requests as it takes; smaller ones where they are too large.
    async fn in_chunks(
        &self,
        id: &str,
        members: &[String],
        operations: impl Fn(&[String]) -> Vec<Json>,
        begun: &mut bool,
    ) -> Result<Answer, TargetError> {
        let mut shown = None;
        let mut rest = members;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.learned.chunk().min(rest.len()));
            match self.patch(id, operations(chunk)).await {
                Ok(Answer::Done(body)) => {
                    *begun = true;
                    shown = body;
                    rest = later;
                }
                Ok(Answer::Refused(refusal)) if refusal.status == 413 && chunk.len() > 1 => {
                    self.learned.halve_chunk(chunk.len());
                }
                Ok(Answer::Refused(refusal)) => return Ok(Answer::Refused(refusal)),
                Err(error) => return Err(self.failed(error, *begun)),
            }
        }
        Ok(Answer::Done(shown))
    }

    fn refused(&self, refusal: Refusal, begun: bool) -> TargetError {
        self.failed(refusal.into_error(), begun)
    }

    fn failed(&self, error: TargetError, begun: bool) -> TargetError {
        if begun { self.half_done(error) } else { error }
    }
}

fn ids(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(|value| value.as_text().map(Into::into)).collect()
}

fn references(ids: &[String]) -> Json {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

fn one_by_one(chunk: &[String]) -> Vec<Json> {
    let path = |id: &String| format!("members[value eq {}]", json!(id));
    chunk.iter().map(|id| json!({ "op": "remove", "path": path(id) })).collect()
}

fn by_values(chunk: &[String]) -> Vec<Json> {
    vec![json!({ "op": "remove", "path": "members", "value": references(chunk) })]
}
