//! The format that a scraper asks for.

use super::Format;

/// The better of the two formats for an `Accept` header (RFC 9110, section 12.5.1). OpenMetrics is given only
/// to those who name it; text also if nothing that is asked for is there, as Prometheus' own libraries do.
pub fn negotiate(accept: Option<&str>) -> Format {
    let ranges = || {
        accept
            .unwrap_or_default()
            .split(',')
            .filter_map(Range::parse)
    };
    let weight = |of: fn(&Range<'_>) -> Option<u8>| {
        // The most specific range that fits decides; of equally specific ones the heaviest.
        ranges()
            .filter_map(|range| Some((of(&range)?, range.weight)))
            .max()
            .unwrap_or_default()
    };
    let (specific, open_metrics) =
        weight(|range| range.fits("application/openmetrics-text", "application/*", "1.0.0"));
    let (_, text) = weight(|range| range.fits("text/plain", "text/*", "0.0.4"));
    if specific == NAMED && open_metrics > 0 && open_metrics >= text {
        Format::OpenMetrics100
    } else {
        Format::Text004
    }
}

/// How specific a range is that names the media type.
const NAMED: u8 = 3;

/// One media range.
struct Range<'a> {
    media: &'a str,
    version: Option<&'a str>,
    /// Thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            media: parts.next()?,
            version: None,
            weight: 1000,
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("q") {
                let weight: f32 = value.parse().ok()?;
                range.weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
            } else if name.trim().eq_ignore_ascii_case("version") {
                range.version = Some(value);
            }
        }
        Some(range)
    }

    /// How specifically the range fits a media type, if it does.
    fn fits(&self, media: &str, family: &str, version: &str) -> Option<u8> {
        let is = |other: &str| self.media.eq_ignore_ascii_case(other);
        if is(media) && self.version.is_none_or(|wanted| wanted == version) {
            Some(NAMED)
        } else if is(family) {
            Some(2)
        } else if is("*/*") {
            Some(1)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Format::{OpenMetrics100, Text004};

    #[test]
    fn the_heavier_format_is_given() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let text_first =
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, format) in [
            (None, Text004),
            (Some(""), Text004),
            (Some("*/*"), Text004),
            (Some("application/*"), Text004),
            (Some("application/json"), Text004),
            (Some(browser), Text004),
            (Some(prometheus_2), OpenMetrics100),
            (Some(prometheus_3), OpenMetrics100),
            (Some(text_first), Text004),
            (Some("application/openmetrics-text"), OpenMetrics100),
            (
                Some("Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.5"),
                OpenMetrics100,
            ),
            (Some("application/openmetrics-text;version=0.0.1"), Text004),
            (Some("application/openmetrics-text;q=0"), Text004),
            (
                Some("application/openmetrics-text;q=0.5,text/plain;q=0.9"),
                Text004,
            ),
            (
                Some("application/openmetrics-text;q=0.9,text/plain;q=0.9"),
                OpenMetrics100,
            ),
            (
                Some("application/openmetrics-text;q=0.5,text/*;q=0.4,*/*"),
                OpenMetrics100,
            ),
            (Some("application/openmetrics-text;q=x"), Text004),
            (Some(";;,=;q=,"), Text004),
        ] {
            assert_eq!(negotiate(accept), format, "{accept:?}");
        }
    }
}
