//! Route templates: what varies in a path becomes {...}.
