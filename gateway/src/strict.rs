//! Is what a caller sends HTTP/1.1 that everyone reads alike? What two readers could take for different requests ends here.

/// What a connection's reader and its service tell each other.
#[derive(Debug, Default)]
pub struct Watch {}

impl Watch {
    /// A call began.
    pub fn begin(&self) {}
    /// A call ended.
    pub fn end(&self) {}
    /// The stream is opaque from here on.
    pub fn upgraded(&self) {}
}
