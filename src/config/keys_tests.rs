//! The table of settings against what it speaks of.

use super::*;
use crate::domain::Limits;

#[test]
fn variables_are_named_after_section_and_key() {
    assert_eq!(find("listen").unwrap().environment(), "PARLOR_LISTEN");
    assert_eq!(find("auth.token_ttl").unwrap().environment(), "PARLOR_AUTH__TOKEN_TTL");
    assert_eq!(find("auth.token_ttl").unwrap().section(), ("auth", "token_ttl"));
    assert!(find("auth").is_none());
}

#[test]
fn every_limit_has_a_row_that_shows_it() {
    let debug = format!("{:?}", Limits::default());
    let fields = debug.trim_start_matches("Limits { ").trim_end_matches(" }");
    let mut count = 0;
    for (field, value) in fields.split(", ").map(|field| field.split_once(": ").unwrap()) {
        let key = find(&format!("limits.{field}")).expect(field);
        assert_eq!(key.default(), Shown::Value(value.to_owned()), "{field}");
        count += 1;
    }
    assert_eq!(count, KEYS.iter().filter(|key| key.section().0 == "limits").count());
}

#[test]
fn a_limit_is_read_into_its_own_field_at_both_ends_of_its_range() {
    for key in KEYS {
        let Form::Integer { range, .. } = &key.form else { continue };
        for end in [*range.start(), *range.end()] {
            let mut config = Config::default();
            (key.read)(&mut config, &Value::Integer(end.into())).unwrap();
            assert_eq!((key.show)(&config), Shown::Value(end.to_string()), "{}", key.name);
            let others = KEYS.iter().filter(|other| other.name != key.name);
            let touched = others.filter(|other| (other.show)(&config) != other.default());
            assert_eq!(touched.count(), 0, "{}", key.name);
        }
        for outside in [i128::from(*range.start()) - 1, i128::from(*range.end()) + 1] {
            let mut config = Config::default();
            assert!((key.read)(&mut config, &Value::Integer(outside)).is_err(), "{}", key.name);
            assert_eq!(config, Config::default());
        }
    }
}

#[test]
fn the_table_has_no_name_twice_and_keeps_sections_together() {
    let mut sections: Vec<_> = KEYS.iter().map(|key| key.section().0).collect();
    sections.dedup();
    assert_eq!(sections, ["", "auth", "rooms", "log", "metrics", "limits"]);
    for (index, key) in KEYS.iter().enumerate() {
        assert!(KEYS[..index].iter().all(|earlier| earlier.name != key.name));
        assert!(key.about.ends_with('.') && !key.about.contains('\n'), "{}", key.name);
    }
}

/// Once a name that no browser ever sends was taken, and no page was the server's own.
#[test]
fn an_origin_that_browsers_write_otherwise_is_refused_or_written_so() {
    for (text, hint) in [
        ("http://127.1:8080", ", an IPv4 address as four numbers, not \"http://127.1:8080\""),
        ("http://2130706433/", ", an IPv4 address as four numbers, not"),
        ("https://chät.example", ", its name as browsers send it, beginning with xn--, not"),
        ("https://a/b", ", without a path, not \"https://a/b\""),
    ] {
        let fault = origin(text).unwrap_err();
        assert!(fault.contains(hint), "{fault}");
    }
    let long = origin("http://[2001:0DB8:0:0:0:0:0:1]:8080").unwrap();
    assert_eq!(long.to_string(), "http://[2001:db8::1]:8080");
}
