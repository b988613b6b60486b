//! What /proc tells of a process; read at the edge, never in the middle.
