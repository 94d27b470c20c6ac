use gotmpl::Value;

use super::{call, refused, rendered};

#[test]
fn now_is_the_time_of_the_read_as_text() {
    assert_eq!(rendered("{{ now }}"), "2024-05-01T10:20:30.123456789Z");
    assert_eq!(rendered(r#"{{ now | dateModify "-30.123456789s" }}"#), "2024-05-01T10:20:00Z");
    assert_eq!(rendered(r#"{{ toDate "2006-01-02" "junk" }}"#), "0001-01-01T00:00:00Z");
}

#[test]
fn times_keep_their_offset() {
    let read = r#"toDate "2006-01-02 15:04 -0700" "2024-05-01 10:20 +0530""#;
    assert_eq!(rendered(&format!("{{{{ {read} }}}}")), "2024-05-01T10:20:00+05:30");
    assert_eq!(rendered(&format!(r#"{{{{ {read} | dateModify "1h" }}}}"#)), "2024-05-01T11:20:00+05:30");
    assert_eq!(rendered(&format!(r#"{{{{ {read} | date "15:04" }}}}"#)), "04:50");
}

#[test]
fn times_of_rows_are_read() {
    for (time, seconds) in [
        ("2024-05-01T10:20:30.123456+00:00", "1714558830"),
        ("2024-05-01T10:20:30+02:00", "1714551630"),
        ("2024-05-01T10:20:30Z", "1714558830"),
        ("2024-05-01T10:20:30", "1714558830"),
        ("2024-05-01 10:20:30+00", "1714558830"),
        ("2024-05-01 10:20:30.5", "1714558830"),
        ("2024-05-01", "1714521600"),
    ] {
        assert_eq!(rendered(&format!("{{{{ unixEpoch {time:?} }}}}")), seconds, "{time}");
    }
    assert_eq!(rendered(r#"{{ date "2006-01-02" "2024-05-01T23:30:00-05:00" }}"#), "2024-05-02");
    assert_eq!(rendered(r#"{{ htmlDate 1714558830 }} {{ htmlDate 1714558830.0 }}"#), "2024-05-01 2024-05-01");
}

#[test]
fn what_is_no_time_is_an_error_and_not_the_present() {
    for template in [
        r#"{{ date "2006" "junk" }}"#,
        r#"{{ date "2006" "" }}"#,
        r#"{{ date "2006" nil }}"#,
        r#"{{ htmlDate true }}"#,
        r#"{{ htmlDate "infinity" }}"#,
        r#"{{ ago "0044-03-15 BC" }}"#,
        r#"{{ dateInZone "2006" (list) "UTC" }}"#,
    ] {
        assert!(refused(template).contains("the value is not a time"), "{template}");
    }
    assert!(refused(r#"{{ htmlDate 99999999999999 }}"#).contains("too far away"));
    assert!(refused(r#"{{ dateModify "2540400h" "9999-12-30" }}"#).contains("too far away"));
}

#[test]
fn how_long_ago_is_counted_from_the_read() {
    for (time, ago) in [
        ("2024-05-01T10:20:30Z", "0s"),
        ("2024-05-01T10:20:29.6Z", "1s"),
        ("2024-05-01T08:19:29Z", "2h1m1s"),
        ("2024-05-01T10:21:30Z", "-1m0s"),
        ("0001-01-01T00:00:00Z", "2562047h47m16.854775807s"),
    ] {
        assert_eq!(rendered(&format!("{{{{ ago {time:?} }}}}")), ago, "{time}");
    }
    assert_eq!(rendered(r#"{{ ago 1714558800 }}"#), "30s");
    assert_eq!(rendered(r#"{{ durationRound "2024-04-01T10:20:00Z" }}"#), "1mo");
    assert_eq!(rendered(r#"{{ durationRound "2020-04-01" }}"#), "4y");
}

#[test]
fn dates_take_numbers_as_seconds() {
    assert_eq!(call("duration", &[Value::Int(95)]).unwrap(), Value::String("1m35s".into()));
    assert_eq!(call("duration", &[Value::Uint(95)]).unwrap(), Value::String("1m35s".into()));
}
