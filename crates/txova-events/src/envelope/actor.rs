//! Who caused an event. It must never know events.

use std::borrow::Cow;

use super::read::{Unknown, member_name, write_unknown};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::ids::{ActorId, UserId, parse_uuid};
use crate::json;
use crate::values::ActorType;

/// Who caused an event: a user, an administrator or a part of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The actor's id; nil where a Go service left it out.
    pub id: ActorId,
    /// What kind of actor.
    pub kind: ActorType,
    pub(super) unknown: Unknown<'static>,
}

impl Actor {
    /// An actor of any kind.
    pub fn new(id: impl Into<ActorId>, kind: ActorType) -> Self {
        Self { id: id.into(), kind, unknown: Vec::new() }
    }

    /// A user.
    pub fn user(id: UserId) -> Self {
        Self::new(id, ActorType::User)
    }

    /// An administrator.
    pub fn admin(id: UserId) -> Self {
        Self::new(id, ActorType::Admin)
    }

    /// A part of the platform.
    pub fn system(id: ActorId) -> Self {
        Self::new(id, ActorType::System)
    }

    /// Reads an actor's object; `None` for `null`. `value` is a whole value whose syntax is known to be sound.
    pub(super) fn decode(value: &[u8]) -> Result<Option<Self>, DecodeError> {
        let type_error = |field: &str, expected: &str| {
            DecodeError::new(DecodeErrorKind::Type, field, format!("expected {expected}"))
        };
        if value == b"null" {
            return Ok(None);
        }
        let members = json::members(value).ok_or_else(|| type_error("", "an object with id and type"))?;
        let mut actor = Self::new(ActorId::nil(), ActorType::Other(String::new()));
        for member in members {
            let member = member?;
            match member_name(&member, &["id", "type"])?.as_ref() {
                "id" => {
                    // no escapes: an id is written as it is
                    let text = match member.value {
                        [b'"', inner @ .., b'"'] => String::from_utf8_lossy(inner),
                        _ => Cow::Borrowed(""),
                    };
                    let id = parse_uuid(&text)
                        .map_err(|error| DecodeError::new(DecodeErrorKind::Id, "id", error.to_string()))?;
                    actor.id = id.into();
                }
                "type" if member.value == b"null" => {}
                "type" => {
                    let kind = json::text(member.value).ok_or_else(|| type_error("type", "a text"))?;
                    actor.kind = kind.as_ref().into();
                }
                _ => {
                    actor.unknown.push((Cow::Owned(member.name.to_vec()), Cow::Owned(member.value.to_vec())))
                }
            }
        }
        Ok(Some(actor))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(self.id.to_string().as_bytes());
        out.extend_from_slice(b"\",\"type\":");
        json::write_text(out, self.kind.as_str());
        write_unknown(out, &self.unknown);
        out.push(b'}');
    }
}
