//! A company's own event beside the platform's: declare it, publish it, read it. `cargo run --example own_events`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use serde::{Deserialize, Serialize};
use txova_events::{EnvelopeRef, Event, InvalidField, Money, Origin, ToRecord, UserId};

/// A rider used a coupon.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct CouponRedeemed {
    user_id: UserId,
    code: String,
    discount: Money,
}

impl Event for CouponRedeemed {
    const TYPE: &'static str = "coupon.redeemed";
    const TOPIC: &'static str = "acme.coupons.v1";

    fn key(&self) -> String {
        self.user_id.to_string()
    }

    // Optional: what must hold before it is published.
    fn validate(&self) -> Result<(), InvalidField> {
        if self.discount <= Money::ZERO {
            return Err(InvalidField::new("discount", format!("{} is no discount", self.discount)));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redeemed = CouponRedeemed {
        user_id: UserId::new(),
        code: "BOLEIA10".to_owned(),
        discount: Money::from_centavos(10_00),
    };

    let record = redeemed.to_record(&Origin::now("coupon-service"))?;
    println!("to {} under key {}:\n{}", record.topic, record.key, String::from_utf8_lossy(&record.value));

    let envelope = EnvelopeRef::decode(&record.value)?;
    assert_eq!(envelope.decode_payload::<CouponRedeemed>()?, redeemed);

    let worthless = CouponRedeemed { discount: Money::ZERO, ..redeemed };
    let refused = worthless.to_record(&Origin::now("coupon-service"));
    println!("refused: {}", refused.err().map_or_else(String::new, |error| error.to_string()));
    Ok(())
}
