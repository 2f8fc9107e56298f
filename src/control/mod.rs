//! The one API: what `tandemadm` (and later the web page and the peer) can ask and say.

pub mod api;
