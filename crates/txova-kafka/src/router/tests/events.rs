//! Events of a company's own.

use serde::{Deserialize, Serialize};
use txova_events::Event;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ParcelDelivered {
    pub parcel_id: String,
    pub weight_g: u32,
}

impl Event for ParcelDelivered {
    const TYPE: &'static str = "parcel.delivered";
    const TOPIC: &'static str = "parcels.v1";

    fn key(&self) -> String {
        self.parcel_id.clone()
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ParcelLost {}

impl Event for ParcelLost {
    const TYPE: &'static str = "parcel.lost";
    const VERSION: &'static str = "2.0";
    const TOPIC: &'static str = "parcels.v1";

    fn key(&self) -> String {
        "lost".to_owned()
    }
}
