//! What is known about a connection from its bytes: whether it is alive, and what an HTTP/2 peer
//! has announced in its frames.

pub(crate) mod observed;

pub(crate) mod frames;

pub(crate) mod state;

pub(crate) mod windows;
