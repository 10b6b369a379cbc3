//! The error for a curl command that cannot become a login profile.

use crate::ui::failure::Failure;
use bootseal_core::Kind;

pub(super) fn refused(what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the curl command {what}"))
}
