//! What becomes of which path.

use super::*;
use proptest::prelude::*;

fn templated(target: &[u8]) -> String {
    let mut out = "from before".to_owned();
    template(target, &mut out);
    out
}

#[test]
fn paths_become_templates() {
    for (target, expected) in [
        // Forms of the target.
        ("/", "/"),
        ("*", "*"),
        ("", ""),
        ("example.org:443", ""),
        ("[::1]:443", ""),
        ("http://example.org", "/"),
        ("https://example.org:8080/users/7?x=/y", "/users/{id}"),
        ("http://example.org?to=/a/b", "/"),
        ("/search?q=a/b/1", "/search"),
        ("/page#top", "/page"),
        ("/?", "/"),
        ("/login;jsessionid=0A1B2C/next;v=1", "/login/next"),
        ("/users/", "/users/"),
        ("//users///all", "/users/all"),
        // What stays.
        ("/api/v1/users", "/api/v1/users"),
        ("/api/v1.2/oauth2/token", "/api/v1.2/oauth2/token"),
        ("/health_check", "/health_check"),
        ("/api/users/42/orders", "/api/users/{id}/orders"),
        (
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration",
        ),
        ("/@babel/core", "/@babel/core"),
        ("/blog/my-first-post", "/blog/my-first-post"),
        ("/facade/defaced", "/facade/defaced"),
        ("/utf16/s3/log4j2/web01", "/utf16/s3/log4j2/web01"),
        (
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Check",
        ),
        (
            "/com.example.v1beta1.Users/Get",
            "/com.example.v1beta1.Users/Get",
        ),
        ("/users:batchGet", "/users:batchGet"),
        // Static assets.
        ("/static/js/main.js", "/static/js/main.js"),
        (
            "/static/jquery-3.6.0.min.js.map",
            "/static/jquery-3.6.0.min.js.map",
        ),
        ("/img/logo-1024.png", "/img/logo-1024.png"),
        ("/fonts/inter.woff2", "/fonts/inter.woff2"),
        ("/favicon.ico", "/favicon.ico"),
        ("/index.html", "/index.html"),
        ("/static/main.4f3a2b1c.js", "/static/main.{hash}.js"),
        ("/assets/index-BX3kf9a2.js", "/assets/index-{token}.js"),
        ("/img/photo_20260531.jpg", "/img/photo_{id}.jpg"),
        ("/img/42.png", "/img/{id}.png"),
        ("/logs/2026-05-31.log", "/logs/{date}.log"),
        ("/report-2026-05-31.pdf", "/report-{date}.pdf"),
        // Numbers.
        ("/users/42", "/users/{id}"),
        ("/users/-1", "/users/{id}"),
        ("/order-42", "/order-{id}"),
        ("/order_42_items", "/order_{id}"),
        ("/user123", "/user{id}"),
        ("/npm/1.2.3", "/npm/{id}"),
        ("/host/10.0.0.1", "/host/{id}"),
        ("/at/52.5,-13.4", "/at/{id}"),
        ("/npm/react-18.2.0/", "/npm/react-{id}/"),
        ("/job.12345", "/job.{id}"),
        ("/key=5", "/key={id}"),
        ("/jobs/12:30", "/jobs/{id}"),
        // UUIDs.
        ("/f47ac10b-58cc-4372-a567-0e02b2c3d479", "/{uuid}"),
        ("/F47AC10B-58CC-4372-A567-0E02B2C3D479/x", "/{uuid}/x"),
        ("/user-f47ac10b-58cc-4372-a567-0e02b2c3d479", "/user-{uuid}"),
        ("/f47ac10b-58cc-4372-a567-0e02b2c3d479.jpg", "/{uuid}.jpg"),
        // Hashes.
        (
            "/commit/9fceb02d0ae598e95dc970b74767f19372d61af8",
            "/commit/{hash}",
        ),
        ("/commit/9fceb02d", "/commit/{hash}"),
        ("/tx/0xdeadbeef", "/tx/{hash}"),
        ("/507f1f77bcf86cd799439011", "/{hash}"),
        // Dates.
        ("/2026-05-31", "/{date}"),
        ("/2026-05", "/{date}"),
        ("/2026-05-31T10:00:00Z", "/{date}"),
        ("/archive/2026/05/31", "/archive/{id}/{id}/{id}"),
        // Tokens.
        ("/watch/dQw4w9WgXcQ", "/watch/{token}"),
        ("/cus_9s6XKzkNRiz8i3", "/cus_{token}"),
        ("/x7Fq-9Kd_Zp2mN4rT8vW1A", "/{token}"),
        ("/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/{token}"),
        ("/aGVsbG8gd29ybGQ=", "/{token}"),
        (
            "/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "/{token}",
        ),
        ("/a1b2c3d", "/{token}"),
        // E-mail addresses.
        ("/users/ann@example.org", "/users/{email}"),
        ("/users/ann%40example.org/mail", "/users/{email}/mail"),
        // What people typed.
        ("/caf%C3%A9", "/{text}"),
        ("/café", "/{text}"),
        ("/new%20york", "/{text}"),
        ("/a%2Fb", "/{text}"),
        ("/%7Eann/%75sers", "/~ann/users"),
        ("/%FF", "/{text}"),
        ("/100%", "/{text}"),
        ("/50%-off", "/{text}"),
        ("/<script>\"", "/{text}"),
        ("/users/{id}", "/users/{text}"),
        ("/**", "/{text}"),
        // Deep.
        ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/i/j"),
        ("/a/b/c/d/e/f/g/h/i/j/k/l", "/a/b/c/d/e/f/g/h/i/j/**"),
    ] {
        assert_eq!(templated(target.as_bytes()), expected, "{target}");
    }
}

#[test]
fn long_paths_are_cut() {
    let word = "word-".repeat(12);
    let target = format!("/{word}").repeat(5);
    assert_eq!(templated(target.as_bytes()), format!("/{word}/{word}/**"));
    let long = format!("/{}", "a-".repeat(40));
    assert_eq!(templated(long.as_bytes()), "/{token}");
}

#[test]
fn invalid_utf8_is_text() {
    assert_eq!(templated(b"/a/\xff\xfe/\0"), "/a/{text}/{text}");
    assert_eq!(templated(b"\xff"), "");
}

#[test]
fn what_was_not_found_takes_half_of_the_routes() {
    let mut routes = Routes::default();
    for number in 1..=2 {
        assert!(routes.has_room(4, 404));
        routes.insert(number.to_string().into(), number);
    }
    assert!(!routes.has_room(4, 404) && routes.has_room(4, 200));
}

proptest! {
    #[test]
    fn any_target_has_a_short_printable_template(target in proptest::collection::vec(any::<u8>(), 0..400)) {
        for target in [target.clone(), [b"/", target.as_slice()].concat()] {
            let route = templated(&target);
            prop_assert!(route.len() <= TEMPLATE_BYTES_MAX + CATCH_ALL.len() + 1);
            prop_assert!(route.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn numbers_never_make_routes(number in any::<u64>(), name in "[a-z]{1,10}") {
        prop_assert_eq!(templated(format!("/{name}/{number}/x?{number}").as_bytes()), format!("/{name}/{{id}}/x"));
    }

    #[test]
    fn hashes_never_make_routes(bytes in proptest::array::uniform20(any::<u8>())) {
        let hash: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let route = templated(format!("/blob/{hash}").as_bytes());
        prop_assert!(["/blob/{hash}", "/blob/{id}"].contains(&route.as_str()), "{}", route);
    }
}
