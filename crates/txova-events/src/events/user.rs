//! What happens to users. Keyed by the user.

use crate::{DeletionType, Email, List, Phone, UserId, UserType, VerificationType};

events! {
    /// Somebody signed up.
    UserRegistered = "user.registered" on USERS by user_id {
        /// The new user.
        user_id: UserId,
        /// The phone number; `None` is written as `""`.
        phone: Option<Phone>,
        /// Rider, driver, both or administrator.
        user_type: UserType,
        /// The e-mail address, left out when absent.
        email: Option<Email>,
        /// The name, left out when absent or empty.
        name: Option<String>,
    }
    /// Something about a user was verified.
    UserVerified = "user.verified" on USERS by user_id {
        /// The user.
        user_id: UserId,
        /// What was verified.
        verification_type: VerificationType,
    }
    /// A user changed the profile.
    UserProfileUpdated = "user.profile_updated" on USERS by user_id {
        /// The user.
        user_id: UserId,
        /// The names of what changed.
        changed_fields: List<String>,
    }
    /// A user may not use the platform for now.
    UserSuspended = "user.suspended" on USERS by user_id {
        /// The user.
        user_id: UserId,
        /// Why, in words.
        reason: String,
        /// Who did it, left out when absent.
        suspended_by: Option<UserId>,
    }
    /// A user is no more.
    UserDeleted = "user.deleted" on USERS by user_id {
        /// The user.
        user_id: UserId,
        /// Why.
        deletion_type: DeletionType,
    }
}
