//! What makes a type an event. It must never know which events there are.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::InvalidField;

/// A payload with its place on the wire: the type of event it is, its topic and its key.
///
/// The 28 events of the platform implement it in [`events`](crate::events). A company's own events do so outside this
/// crate, in a few lines:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use txova_events::{Event, UserId};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct CouponRedeemed {
///     user_id: UserId,
///     code: String,
/// }
///
/// impl Event for CouponRedeemed {
///     const TYPE: &'static str = "coupon.redeemed";
///     const TOPIC: &'static str = "acme.coupons.v1";
///
///     fn key(&self) -> String {
///         self.user_id.to_string()
///     }
/// }
/// ```
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event's type, `domain.action`.
    const TYPE: &'static str;

    /// The version of the payload's schema, two numbers with a dot between them.
    const VERSION: &'static str = "1.0";

    /// The topic it is published to.
    const TOPIC: &'static str;

    /// The record's key: the id of the entity whose events must stay in order.
    fn key(&self) -> String;

    /// The publisher's rules for the payload, looked at before every publish. By default there are none.
    fn validate(&self) -> Result<(), InvalidField> {
        Ok(())
    }
}
