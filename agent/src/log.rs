//! The agent's own log: text or JSON lines on stderr.

use crate::config::{Format, Level, Log};
use std::io::IsTerminal as _;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{MakeWriter, fmt};

/// Starts the log of this process. A second call changes nothing.
pub fn start(settings: &Log) {
    // Colours only where a person looks: they are noise in journals and files (https://no-color.org).
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    // Refused only when a log is set already, which is then the one to keep.
    let _ = tracing::subscriber::set_global_default(subscriber(settings, colours, std::io::stderr));
}

fn subscriber<W>(settings: &Log, colours: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let level = match settings.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let lines = fmt()
        .with_max_level(level)
        .with_ansi(colours)
        .with_writer(writer);
    match settings.format {
        Format::Text => Box::new(lines.finish()),
        Format::Json => Box::new(lines.json().flatten_event(true).finish()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .map_err(|_| io::ErrorKind::Other)?
                .write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: Format, level: Level, colours: bool) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(&Log { format, level }, colours, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("hidden at info");
            tracing::warn!(port = 9435, "one \x1b[31mred\x1b[0m\nword");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_no_colours_unless_asked_nor_those_of_its_message() {
        let text = lines(Format::Text, Level::Info, false);
        assert!(
            !text.contains('\x1b') && text.contains(" WARN "),
            "{text:?}"
        );
        assert!(text.ends_with("port=9435\n"), "{text:?}");
        assert!(lines(Format::Text, Level::Info, true).contains('\x1b'));
    }

    #[test]
    fn json_is_one_object_per_line() {
        let text = lines(Format::Json, Level::Info, false);
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["port"], 9435);
        assert_eq!(line["message"], "one \x1b[31mred\x1b[0m\nword");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_level_is_the_least_severe_that_is_written() {
        assert_eq!(lines(Format::Json, Level::Error, false), "");
        assert_eq!(lines(Format::Json, Level::Debug, false).lines().count(), 2);
    }
}
