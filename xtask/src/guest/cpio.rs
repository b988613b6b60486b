//! Writes the archive format in which Linux takes its first file system ("newc").

/// Every header field and every file starts at a multiple of this.
const ALIGNMENT: usize = 4;

/// An archive that grows in memory.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder.
    pub(crate) fn folder(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Adds a file that may be executed.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_755, content);
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.entry(path, 0o120_777, target.as_bytes());
    }

    /// The whole archive, with its end mark.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries as usize, // inode
            mode as usize,
            0, // owner
            0, // group
            1, // links
            0, // time of change
            content.len(),
            0, // device, major
            0, // device, minor
            0, // device itself, major
            0, // device itself, minor
            path.len() + 1,
            0, // checksum, unused in this variant
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_header_name_content_each_padded() {
        let mut archive = Archive::default();
        archive.file("init", b"hello");
        let header = 6 + 13 * 8;
        let name = (header + 5_usize).next_multiple_of(4);
        assert_eq!(archive.bytes.get(..6), Some(&b"070701"[..]));
        assert_eq!(archive.bytes.get(name..name + 5), Some(&b"hello"[..]));
        assert_eq!(archive.bytes.len() % 4, 0);
    }

    #[test]
    fn an_archive_ends_with_its_trailer() {
        let bytes = Archive::default().finish();
        assert!(bytes.windows(10).any(|part| part == b"TRAILER!!!"));
    }
}
