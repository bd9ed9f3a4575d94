//! Events of a company's own.

use crate::context::event::Event;

#[derive(Debug, serde::Deserialize)]
pub(super) struct ParcelDelivered {
    pub parcel_id: String,
    pub weight_g: u32,
}

impl Event for ParcelDelivered {
    const TYPE: &'static str = "parcel.delivered";
    const VERSION: &'static str = "1.0";
    const TOPIC: &'static str = "parcels.v1";
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct ParcelLost {}

impl Event for ParcelLost {
    const TYPE: &'static str = "parcel.lost";
    const VERSION: &'static str = "2.0";
    const TOPIC: &'static str = "parcels.v1";
}
