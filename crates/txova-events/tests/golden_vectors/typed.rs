//! The 28 events by the names of their types.

use txova_events::*;

/// What is done with an event type once its Rust type is known.
pub(crate) trait WithEvent {
    type Output;
    fn run<E: Event + PartialEq + std::fmt::Debug>(self) -> Self::Output;
}

/// Runs with the event of that type; `None` where it is not among the 28.
pub(crate) fn with_event<W: WithEvent>(event_type: &str, work: W) -> Option<W::Output> {
    macro_rules! choose {
        ($($event:ident)*) => {
            match event_type {
                $($event::TYPE => Some(work.run::<$event>()),)*
                _ => None,
            }
        };
    }
    choose! {
        UserRegistered UserVerified UserProfileUpdated UserSuspended UserDeleted
        DriverApplicationSubmitted DriverDocumentsSubmitted DriverApproved DriverRejected DriverWentOnline
        DriverWentOffline DriverLocationUpdated
        RideRequested RideDriverAssigned RideDriverArrived RideStarted RideCompleted RideCancelled RideRated
        PaymentInitiated PaymentCompleted PaymentFailed PaymentRefunded PayoutRequested PayoutCompleted
        SafetyEmergencyTriggered SafetyIncidentReported SafetyTripShared
    }
}

/// Reads a payload and writes it again.
pub(crate) struct Payload<'a>(pub(crate) &'a [u8]);

impl WithEvent for Payload<'_> {
    type Output = Result<Vec<u8>, PayloadError>;

    fn run<E: Event + PartialEq + std::fmt::Debug>(self) -> Self::Output {
        encode_payload(&decode_payload::<E>(self.0)?)
    }
}

/// Reads an envelope with its payload and writes both again; second, what publishing it gives.
pub(crate) struct Whole<'a>(pub(crate) &'a EnvelopeRef<'a>);

impl WithEvent for Whole<'_> {
    type Output = Result<(Vec<u8>, Result<EventRecord, InvalidEvent>), PayloadError>;

    fn run<E: Event + PartialEq + std::fmt::Debug>(self) -> Self::Output {
        let envelope = self.0.typed::<E>()?;
        let written = envelope.encode().expect("an event of ours can be written");
        assert_eq!(EnvelopeRef::decode(&written).expect("what was written").typed::<E>()?, envelope);
        Ok((written, envelope.to_record(&Origin::now("nobody"))))
    }
}
