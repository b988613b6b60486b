//! Programs that are not measured, by the names that their series would have.

use super::Facts;
use crate::records::facts::Source;

/// The kernel cuts a process's own name after this many bytes, and where it is all that is known, so is what is
/// compared with it.
const COMM_BYTES_MAX: usize = 15;

/// Names as the settings have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions(Vec<String>);

impl Exclusions {
    /// Programs of these names: with a slash the path of the executable, else its file name or the name of the
    /// service.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the program is excluded whose topmost process this is, under that `service_name`.
    pub(super) fn hold(&self, facts: &Facts, service_name: &str) -> bool {
        self.0.iter().any(|name| {
            if facts.source == Source::Comm {
                return name == service_name || is_comm(name, &facts.executable);
            }
            if name.contains('/') {
                return *name == facts.executable;
            }
            name == service_name || name == facts.name()
        })
    }
}

/// Whether a program of this name, or path, would call itself `comm`.
fn is_comm(name: &str, comm: &str) -> bool {
    let file_name = name.rsplit('/').next().unwrap_or_default();
    let cut = file_name.get(..COMM_BYTES_MAX).unwrap_or(file_name);
    !cut.is_empty() && cut == comm
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(source: Source, executable: &str) -> Facts {
        Facts {
            pid: 7,
            parent_pid: 1,
            start_boottime_ns: 1,
            cgroup: 0,
            source,
            executable: executable.to_owned(),
            service_name: None,
            unit: None,
            container_id: None,
        }
    }

    #[test]
    fn a_name_is_a_file_name_or_a_service_and_a_path_is_a_path() {
        let nginx = facts(Source::Proc, "/usr/sbin/nginx");
        for (name, is_held) in [
            ("nginx", true),
            ("web", true),
            ("/usr/sbin/nginx", true),
            ("/opt/nginx", false),
            ("ngin", false),
            ("sbin/nginx", false),
            ("NGINX", false),
            ("", false),
        ] {
            let exclusions = Exclusions::new(vec!["other".to_owned(), name.to_owned()]);
            assert_eq!(exclusions.hold(&nginx, "web"), is_held, "{name:?}");
        }
        assert!(!Exclusions::default().hold(&nginx, "web"));
    }

    #[test]
    fn where_only_the_cut_name_is_known_it_is_compared_cut() {
        let cut = facts(Source::Comm, "a-very-long-nam");
        for (name, is_held) in [
            ("a-very-long-name", true),
            ("/opt/a-very-long-name", true),
            ("a-very-long-nam", true),
            ("a-very-long-na", false),
            ("/", false),
        ] {
            let exclusions = Exclusions::new(vec![name.to_owned()]);
            assert_eq!(exclusions.hold(&cut, "unit"), is_held, "{name:?}");
        }
    }
}
