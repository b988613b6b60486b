//! How much of each call the kernel side captures: all that is useful, or less, so that the agent keeps to its budget.

use sockmeter_abi::{LEVEL_COUNTS, LEVEL_FULL, LEVEL_HEAD};

/// From most to least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaptureLevel {
    /// As the configuration says.
    #[default]
    Full,
    /// Of each call only the first bytes, and those only near a turn of direction, where heads are.
    Head,
    /// No content, and no record of a call: its bytes are counted in the table of connections.
    Counts,
}

impl CaptureLevel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Full, Self::Head, Self::Counts];

    /// As labels, the log and `/health` name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Head => "head",
            Self::Counts => "counts",
        }
    }

    /// What it leaves out.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Full => "everything is captured",
            Self::Head => "only the first bytes of heads are captured",
            Self::Counts => {
                "bytes and connections are counted, requests only by how often the direction turns"
            }
        }
    }

    /// The next that captures less.
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::Full => Some(Self::Head),
            Self::Head => Some(Self::Counts),
            Self::Counts => None,
        }
    }

    /// The next that captures more.
    pub const fn above(self) -> Option<Self> {
        match self {
            Self::Full => None,
            Self::Head => Some(Self::Full),
            Self::Counts => Some(Self::Head),
        }
    }

    /// As the kernel side reads it.
    pub const fn word(self) -> u32 {
        match self {
            Self::Full => LEVEL_FULL,
            Self::Head => LEVEL_HEAD,
            Self::Counts => LEVEL_COUNTS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_down_has_its_step_up() {
        for level in CaptureLevel::ALL {
            if let Some(below) = level.below() {
                assert!(below > level);
                assert_eq!(below.above(), Some(level));
            }
        }
        assert_eq!(CaptureLevel::Full.above(), None);
        assert_eq!(CaptureLevel::Counts.below(), None);
    }
}
