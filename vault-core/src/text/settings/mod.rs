//! Tables that are not the application's: settings of logins, routes, gateway and fleet, and the
//! rules for what is sealed.

pub(crate) mod seal;
pub(crate) mod tables;
