//! HTTP/1.0 and 1.1 (RFC 9112): heads are parsed, bodies are skipped by length.
