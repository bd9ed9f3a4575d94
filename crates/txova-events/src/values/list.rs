//! A list that knows whether anybody filled it.

use std::ops::Deref;
use std::{fmt, slice, vec};

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserializer, Serializer};

use crate::shape::Shape;
use crate::wire::{Read, Wire, Written};

/// A list of a payload. Use it as the slice it is.
///
/// Go services write `null` for a list they did not fill and `[]` for an empty one; this keeps the two apart so that
/// both are written again as they came. A list made here is `[]` when empty.
///
/// ```
/// use txova_events::List;
///
/// let fields: List<String> = vec!["name".to_owned(), "email".to_owned()].into();
/// assert_eq!(fields.len(), 2);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T>(Option<Vec<T>>);

impl<T> List<T> {
    /// Whether the list was left out or `null`.
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The elements; none where the list was `null`.
    pub fn into_vec(self) -> Vec<T> {
        self.0.unwrap_or_default()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Some(Vec::new()))
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(Some(elements))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(Some(elements.into_iter().collect()))
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: Wire> Wire for List<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn absent() -> Self {
        Self(None)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(std::marker::PhantomData<T>);

        impl<'de, T: Wire> Visitor<'de> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or null")
            }

            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<List<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = given.next_element_seed(Read(self.0))? {
                    elements.push(element);
                }
                Ok(List(Some(elements)))
            }
        }

        deserializer.deserialize_any(Elements(std::marker::PhantomData))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(elements) = &self.0 else { return serializer.serialize_unit() };
        let mut written = serializer.serialize_seq(Some(elements.len()))?;
        for element in elements {
            written.serialize_element(&Written(element))?;
        }
        written.end()
    }

    fn check(&self) -> Result<(), String> {
        self.iter().try_for_each(Wire::check)
    }
}
