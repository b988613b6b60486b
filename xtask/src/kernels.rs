//! `docs/kernels.md`: what the agent finds on each kernel, and which tests pass there. A run fills in the rows of the
//! kernels that it ran and leaves the others as they are.

mod page;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths;

/// How the agent is told to attach when nothing is said.
pub const AUTO: &str = "auto";
/// What a row says of a kernel on which the agent does not start.
pub const CANNOT_RUN: &str = "cannot run";
/// What a row says of a kernel that Debian did not have.
pub const NOT_AVAILABLE: &str = "not available";
/// A run with this in its environment writes what it found; others compare.
const UPDATE: &str = "UPDATE_GOLDEN";

/// Which row: a kernel, and what `--probes` was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// As `--kernels` takes it.
    pub kernel: String,
    /// One of the flag's values.
    pub probes: String,
}

/// What the agent found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The kernel's first two numbers; empty if there was none to ask.
    pub series: String,
    /// Of everything together.
    pub verdict: String,
    /// Of each attach family.
    pub families: BTreeMap<String, String>,
    /// What is left out: a program or a requirement, its verdict, and why.
    pub missing: Vec<[String; 3]>,
}

/// One kernel, one value of `--probes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What the agent found.
    pub found: Found,
    /// Which tests pass.
    pub tests: String,
}

/// The page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The attach families in the order in which the agent attaches them.
    pub families: Vec<String>,
    /// The rows.
    pub rows: BTreeMap<Key, Row>,
}

impl Page {
    /// The page as it is.
    ///
    /// # Errors
    /// When it is there and is not what [`Page::change`] writes.
    pub fn read() -> Result<Self> {
        match std::fs::read_to_string(file()) {
            Ok(text) => page::parse(&text),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Changes the page if the run is to write it; otherwise what would change is an error.
    ///
    /// # Errors
    /// When the page says something else, or cannot be read or written.
    pub fn change(change: impl FnOnce(&mut Self)) -> Result<()> {
        let kept = std::fs::read_to_string(file()).unwrap_or_default();
        let mut page = Self::read()?;
        change(&mut page);
        let made = page::write(&page);
        if kept == made {
            return Ok(());
        }
        if is_to_write() {
            let file = file();
            return std::fs::write(&file, made)
                .with_context(|| format!("cannot write {}", file.display()));
        }
        let differs = |(old, new): &(&str, &str)| old != new;
        let (kept, made) = (kept.lines().chain([""]), made.lines().chain([""]));
        let (old, new) = kept.zip(made).find(differs).unwrap_or_default();
        bail!("docs/kernels.md says\n  {old}\nand this run found\n  {new}\n{UPDATE}=1 writes it")
    }

    /// Puts in what the agent found on a kernel, once for each value of `--probes`.
    pub fn found(&mut self, kernel: &str, families: Vec<String>, found: Vec<(String, Found)>) {
        // A kernel on which the agent does not start has no say.
        if !families.is_empty() {
            self.families = families;
        }
        let mut old = std::mem::take(&mut self.rows);
        for (probes, found) in found {
            let kernel = kernel.to_owned();
            let key = Key { kernel, probes };
            let tests = old.remove(&key).map_or_else(String::new, |row| row.tests);
            self.rows.insert(key, Row { found, tests });
        }
        old.retain(|key, _| key.kernel != kernel);
        self.rows.append(&mut old);
    }

    /// Puts in that a kernel was not to be had.
    pub fn not_available(&mut self, kernel: &str, why: &str) {
        let missing = ["kernel", NOT_AVAILABLE, why].map(str::to_owned);
        let found = Found {
            verdict: NOT_AVAILABLE.to_owned(),
            missing: vec![missing],
            ..Found::default()
        };
        self.rows.retain(|key, _| key.kernel != kernel);
        let tests = String::new();
        self.rows.insert(auto(kernel), Row { found, tests });
    }

    /// Puts in which tests passed on a kernel.
    pub fn passed(&mut self, kernel: &str, tests: &str) {
        if let Some(row) = self.rows.get_mut(&auto(kernel)) {
            tests.clone_into(&mut row.tests);
        }
    }

    /// Whether the agent runs on a kernel, as far as the page knows.
    #[must_use]
    pub fn says_it_runs(&self, kernel: &str) -> bool {
        let row = self.rows.get(&auto(kernel));
        row.is_some_and(|row| ![CANNOT_RUN, NOT_AVAILABLE].contains(&row.found.verdict.as_str()))
    }

    /// Why the agent does not run on a kernel, if it does not.
    #[must_use]
    pub fn refusal(&self, kernel: &str) -> Option<String> {
        let Found {
            verdict, missing, ..
        } = &self.rows.get(&auto(kernel))?.found;
        let why = missing.iter().map(|[_, _, why]| why.as_str());
        (verdict == CANNOT_RUN).then(|| why.collect::<Vec<_>>().join("; "))
    }
}

/// Whether this run writes the page.
#[must_use]
pub fn is_to_write() -> bool {
    std::env::var_os(UPDATE).is_some()
}

fn auto(kernel: &str) -> Key {
    Key {
        kernel: kernel.to_owned(),
        probes: AUTO.to_owned(),
    }
}

fn file() -> PathBuf {
    paths::checkout().join("docs/kernels.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(verdict: &str) -> Found {
        Found {
            verdict: verdict.to_owned(),
            ..Found::default()
        }
    }

    #[test]
    fn what_passed_stays_when_the_agent_looks_again() {
        let mut page = Page::default();
        let families = vec!["socket_io".to_owned()];
        let all = |verdict| vec![(AUTO.to_owned(), found(verdict))];
        page.found("6.1", families.clone(), all("ready"));
        page.found("6.12", families.clone(), all("ready"));
        page.passed("6.1", "all");
        page.found("6.1", families.clone(), all("features off"));
        let row = &page.rows[&auto("6.1")];
        assert_eq!(
            (row.found.verdict.as_str(), row.tests.as_str()),
            ("features off", "all")
        );
        assert_eq!(page.rows[&auto("6.12")].found.verdict, "ready");
        assert!(page.says_it_runs("6.1"));
        page.found("5.10", Vec::new(), all(CANNOT_RUN));
        assert_eq!(page.families, families);
    }

    #[test]
    fn a_way_to_attach_that_is_gone_takes_its_row_along() {
        let mut page = Page::default();
        let both = [AUTO, "kprobe"].map(|probes| (probes.to_owned(), found("ready")));
        page.found("6.1", Vec::new(), both.to_vec());
        page.found("6.1", Vec::new(), both[..1].to_vec());
        assert_eq!(page.rows.keys().collect::<Vec<_>>(), [&auto("6.1")]);
    }

    #[test]
    fn a_kernel_that_is_not_there_has_passed_nothing() {
        let mut page = Page::default();
        page.found("6.18", Vec::new(), vec![(AUTO.to_owned(), found("ready"))]);
        page.passed("6.18", "io");
        page.not_available("6.18", "Debian has no package of that name");
        let Row { found, tests } = &page.rows[&auto("6.18")];
        assert_eq!(
            (found.verdict.as_str(), tests.as_str()),
            (NOT_AVAILABLE, "")
        );
        assert_eq!(page.refusal("6.18"), None);
        assert!(!page.says_it_runs("6.18"));
    }

    #[test]
    fn a_refusal_says_why() {
        let mut page = Page::default();
        let why = ["kernel", "missing", "older than 5.12"].map(str::to_owned);
        let refused = Found {
            missing: vec![why],
            ..found(CANNOT_RUN)
        };
        page.found("5.10", Vec::new(), vec![(AUTO.to_owned(), refused)]);
        assert_eq!(page.refusal("5.10").as_deref(), Some("older than 5.12"));
        assert_eq!(page.refusal("6.1"), None);
        assert!(!page.says_it_runs("5.10") && !page.says_it_runs("6.1"));
    }
}
