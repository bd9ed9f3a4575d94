//! Which process of a service this is, for people who look for its logs.

use std::sync::OnceLock;

/// `host/process id`; in Kubernetes the host is the pod's name.
pub(super) fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("{}/{}", gethostname::gethostname().to_string_lossy(), std::process::id()))
}
