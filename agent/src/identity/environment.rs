//! The service name that a process's environment gives.

const SERVICE_NAME_BYTES_MAX: usize = 255;

/// The service name in an environment: `OTEL_SERVICE_NAME`, else `service.name` of
/// `OTEL_RESOURCE_ATTRIBUTES`; empty means unset, as OpenTelemetry's specification has it.
pub(super) fn service_name(environ: &[u8]) -> Option<String> {
    let value = |name: &[u8]| {
        environ
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
    };
    value(b"OTEL_SERVICE_NAME").and_then(label).or_else(|| {
        value(b"OTEL_RESOURCE_ATTRIBUTES")?
            .split(|byte| *byte == b',')
            .find_map(|pair| {
                pair.trim_ascii()
                    .strip_prefix(b"service.name")?
                    .trim_ascii_start()
                    .strip_prefix(b"=")
            })
            .and_then(|value| label(&percent_decoded(value)))
    })
}

fn label(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let text = text.trim();
    let text = &text[..text.floor_char_boundary(SERVICE_NAME_BYTES_MAX)];
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is not a percent-encoded byte stays as it is.
fn percent_decoded(mut text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let (byte, after) = escaped_byte(text).unwrap_or((*first, rest));
        decoded.push(byte);
        text = after;
    }
    decoded
}

fn escaped_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else {
        return None;
    };
    Some((hex_digit(*high)? << 4 | hex_digit(*low)?, rest))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_the_specification_has_them() {
        let cases: &[(&str, Option<&str>)] = &[
            ("", None),
            ("PATH=/bin\0HOME=/\0", None),
            ("PATH=/bin\0OTEL_SERVICE_NAME=shop\0HOME=/\0", Some("shop")),
            ("OTEL_SERVICE_NAME=shop", Some("shop")),
            ("OTEL_SERVICE_NAME= shop \0", Some("shop")),
            ("OTEL_SERVICE_NAME=a%20b\0", Some("a%20b")),
            (
                "MY_OTEL_SERVICE_NAME=no\0OTEL_SERVICE_NAMES=no\0OTEL_SERVICE_NAME\0",
                None,
            ),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=shop\0", Some("shop")),
            (
                "OTEL_RESOURCE_ATTRIBUTES=a=b, service.name = my%20sh%C3%B6p ,c=d\0",
                Some("my shöp"),
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES=service.name=100%,c=%2\0",
                Some("100%"),
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES=service.name=%zz%4\0",
                Some("%zz%4"),
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES=service.names=x,my.service.name=y,service.name\0",
                None,
            ),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a=b\0", Some("a=b")),
            (
                "OTEL_RESOURCE_ATTRIBUTES=service.name=second\0OTEL_SERVICE_NAME=first\0",
                Some("first"),
            ),
            (
                "OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=shop\0",
                Some("shop"),
            ),
            (
                "OTEL_SERVICE_NAME=  \0OTEL_RESOURCE_ATTRIBUTES=service.name=\0",
                None,
            ),
        ];
        for (environ, expected) in cases {
            assert_eq!(
                service_name(environ.as_bytes()).as_deref(),
                *expected,
                "{environ:?}"
            );
        }
    }

    #[test]
    fn names_are_text_and_bounded() {
        assert_eq!(
            service_name(b"OTEL_SERVICE_NAME=a\xffb\0").as_deref(),
            Some("a\u{fffd}b")
        );
        let long = format!("OTEL_SERVICE_NAME={}", "ö".repeat(1000));
        assert_eq!(service_name(long.as_bytes()), Some("ö".repeat(127)));
    }
}
