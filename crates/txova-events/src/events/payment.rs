//! Money that moves. Keyed by the payment or the payout.

use crate::{DriverId, Money, PaymentId, PaymentMethod, PayoutId, RideId};

events! {
    /// A payment has begun.
    PaymentInitiated = "payment.initiated" on PAYMENTS by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// For which ride.
        ride_id: RideId,
        /// How much.
        amount: Money,
        /// By what means.
        method: PaymentMethod,
    }
    /// The money is there.
    PaymentCompleted = "payment.completed" on PAYMENTS by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// The provider's reference.
        transaction_ref: String,
    }
    /// The money did not come.
    PaymentFailed = "payment.failed" on PAYMENTS by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// The provider's code.
        error_code: String,
        /// The provider's words.
        error_message: String,
    }
    /// Money went back.
    PaymentRefunded = "payment.refunded" on PAYMENTS by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// How much.
        refund_amount: Money,
        /// Why, in words.
        reason: String,
    }
    /// A driver wants the earnings.
    PayoutRequested = "payout.requested" on PAYMENTS by payout_id {
        /// The payout.
        payout_id: PayoutId,
        /// To whom.
        driver_id: DriverId,
        /// How much.
        amount: Money,
    }
    /// A driver has the earnings.
    PayoutCompleted = "payout.completed" on PAYMENTS by payout_id {
        /// The payout.
        payout_id: PayoutId,
        /// The provider's reference.
        transaction_ref: String,
    }
}
