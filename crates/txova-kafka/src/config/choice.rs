//! Settings that are one of a few names, in one declaration. Knows nothing of what they mean.

/// A setting that is one of a few names.
pub(super) trait Choice: Copy + 'static {
    /// The names, as they are written.
    const NAMES: &'static [&'static str];

    fn name(self) -> &'static str;

    /// Takes a name in any letter case, or what Kafka calls the same thing.
    fn from_name(name: &str) -> Option<Self>;
}

/// Declares an enum with its names; the first name is written, the others are read too.
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $type:ident {
        $($(#[$doc:meta])* $variant:ident = $name:literal $(| $alias:literal)*,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$doc])* $variant,)+
        }

        impl $type {
            /// The name in files, the environment and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::config::choice::Choice for $type {
            const NAMES: &'static [&'static str] = &[$($name),+];

            fn name(self) -> &'static str {
                self.as_str()
            }

            fn from_name(name: &str) -> Option<Self> {
                match name.to_ascii_lowercase().as_str() {
                    $($name $(| $alias)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use choices;
