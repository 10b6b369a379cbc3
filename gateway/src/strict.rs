//! Is what a caller sends HTTP/1.1 that everyone reads alike? What two readers could take for different requests ends here.
