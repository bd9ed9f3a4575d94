//! Settings in the client's own words, made from the validated configuration. It must never be logged whole: values
//! can be secrets.

use std::fmt;

/// librdkafka properties by role. `common` goes to every client; later ones win over earlier ones of the same name.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientProperties {
    pub common: Vec<(String, String)>,
    pub consumer: Vec<(String, String)>,
    pub producer: Vec<(String, String)>,
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &[(String, String)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("ClientProperties")
            .field("common", &names(&self.common))
            .field("consumer", &names(&self.consumer))
            .field("producer", &names(&self.producer))
            .finish()
    }
}
