//! Every value type parses, prints, orders, hashes and serialises, and says what was wrong with a text that is none.

use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use txova_events::*;

/// Two texts of one type, the lesser first, and how the first is written as JSON.
fn whole<T>(lesser: &str, greater: &str, json: &str)
where
    T: FromStr<Err: Display> + Display + Debug + Clone + Ord + Hash + Serialize + DeserializeOwned,
{
    let parsed = |text: &str| text.parse::<T>().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let (a, b) = (parsed(lesser), parsed(greater));
    assert_eq!(parsed(&a.to_string()), a, "{lesser:?} is read as it is printed, {a}");
    assert_eq!(parsed(&b.to_string()), b, "{greater:?} is read as it is printed, {b}");
    assert!(a < b, "{a} is less than {b}");
    let hash = |value: &T| BuildHasherDefault::<DefaultHasher>::default().hash_one(value);
    assert_eq!(hash(&a), hash(&a.clone()), "equals hash alike");
    assert_ne!(hash(&a), hash(&b), "{a} and {b} hash apart");
    assert_eq!(serde_json::to_string(&a).expect("a value can be written"), json);
    assert_eq!(serde_json::from_str::<T>(json).expect("what is written is read"), a);
}

#[test]
fn every_value_type_parses_prints_orders_hashes_and_serialises() {
    const ID: &str = "01939a1c-5a3e-7c3e-8a52-1f0b6a6f2f01";
    const LATER: &str = "01939A1C5A3E7C3E8A521F0B6A6F2F02"; // 32 digits, upper case
    let quoted = format!("{ID:?}");
    whole::<ActorId>(ID, LATER, &quoted);
    whole::<DriverId>(ID, LATER, &quoted);
    whole::<EventId>(ID, LATER, &quoted);
    whole::<IncidentId>(ID, LATER, &quoted);
    whole::<PaymentId>(ID, LATER, &quoted);
    whole::<PayoutId>(ID, LATER, &quoted);
    whole::<RideId>(ID, LATER, &quoted);
    whole::<UserId>(ID, LATER, &quoted);
    whole::<VehicleId>(ID, LATER, &quoted);

    whole::<Money>("185.00", "185.01", "18500");
    whole::<Location>("-25.9692,32.5732", "-25.9692,32.5733", r#"{"latitude":-25.9692,"longitude":32.5732}"#);
    whole::<Heading>("0", "359.5", "0.0");
    whole::<Speed>("40.5", "41", "40.5");
    whole::<DistanceKm>("7.3", "7.31", "7.3");
    whole::<Rating>("1", "5", "1");
    whole::<Phone>("82 123 4567", "+258871234567", r#""+258821234567""#);
    whole::<Email>("Ana@Example.co.mz", "b@example.co.mz", r#""ana@example.co.mz""#);
    whole::<Time>("2026-01-02T03:04:05Z", "2026-01-02T05:04:05.5+02:00", r#""2026-01-02T03:04:05Z""#);
}

/// All words of an enumeration in the contract's order, which is also how they sort.
fn words<T>(all: &[T], texts: &str)
where
    T: FromStr<Err: Display> + Display + Debug + Clone + Ord + Hash + Serialize + DeserializeOwned,
{
    assert_eq!(all.iter().map(T::to_string).collect::<Vec<_>>().join(" "), texts);
    for pair in texts.split(' ').collect::<Vec<_>>().windows(2) {
        whole::<T>(pair[0], pair[1], &format!("{:?}", pair[0]));
        whole::<T>(&format!(" {} ", pair[0].to_uppercase()), pair[1], &format!("{:?}", pair[0]));
    }
}

#[test]
fn every_word_of_every_closed_enumeration_is_the_contracts() {
    words(UserType::ALL, "rider driver both admin");
    words(DocumentType::ALL, "drivers_license vehicle_registration insurance inspection_certificate id_card");
    words(ServiceType::ALL, "standard comfort premium moto");
    words(
        CancellationReason::ALL,
        "rider_cancelled driver_cancelled no_drivers_available rider_no_show driver_no_show safety_concern other",
    );
    words(PaymentMethod::ALL, "cash mpesa card wallet");
    words(EmergencyType::ALL, "accident harassment theft medical other");
    words(IncidentSeverity::ALL, "low medium high critical");
}

#[test]
fn an_open_enumeration_keeps_a_word_it_does_not_know() {
    fn open<T>(known: &str)
    where
        T: for<'a> From<&'a str> + Display + Debug + Clone + Ord + Hash + Serialize + DeserializeOwned,
    {
        for text in known.split(' ').chain(["of_tomorrow"]) {
            let word = T::from(text);
            assert_eq!(word.to_string(), text);
            assert_eq!(serde_json::to_string(&word).expect("a word can be written"), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<T>(&format!("{text:?}")).expect("any word is read"), word);
        }
    }
    open::<VerificationType>("phone email id");
    open::<DeletionType>("user_requested admin_action inactivity");
    open::<OfflineReason>("manual timeout end_of_shift app_closed low_battery admin_action");
    open::<CancelledBy>("rider driver system");
    open::<RatedBy>("rider driver");
    open::<ActorType>("user system admin");
}

#[test]
fn a_text_that_is_no_value_is_refused_with_what_was_given_and_what_was_expected_but_for_what_is_personal() {
    fn refused<T: FromStr<Err: Display> + Debug>(text: &str, expected: &str) {
        let error = text.parse::<T>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error:?} should say {expected:?}");
    }
    refused::<RideId>("01939a1c", "36 characters");
    refused::<Money>("1.234", "1.234");
    refused::<Location>("-91,0", "-91,0");
    refused::<Location>("-25.9", "-25.9");
    refused::<Rating>("6", "6");
    for (personal, error) in [
        ("21 123 456", "21 123 456".parse::<Phone>().expect_err("of Maputo, and not mobile").to_string()),
        ("nobody", "nobody".parse::<Email>().expect_err("no address").to_string()),
    ] {
        assert!(error.contains("expected") && !error.contains(personal), "{error}");
    }
    refused::<Time>("yesterday", "yesterday");
    refused::<ServiceType>("rickshaw", "standard, comfort, premium, moto");
    assert!(
        Location::new(-25.9, 180.5).expect_err("east of the date line").to_string().contains("-180 and 180")
    );
    assert!(Rating::new(0).expect_err("no star").to_string().contains('5'));
}

#[test]
fn ids_made_here_are_of_version_7_and_sort_by_when_they_were_made() {
    let ids: Vec<RideId> = (0..1_000).map(|_| RideId::new()).collect();
    assert!(ids.iter().all(|id| id.as_uuid().get_version_num() == 7));
    assert!(ids.is_sorted(), "made one after the other");
}
