//! Hostile templates cost an error, and neither the process nor more memory than bounds allow.

mod cases;

use super::*;

/// Every so many cases are tried; all of them take some minutes in a release build.
const STRIDE: usize = if cfg!(debug_assertions) { 67 } else { 7 };

/// Large, deep, and in need of every kind of quoting.
fn row() -> Value {
    let deep = (0..60).fold(json!("x"), |inner, _| json!({ "a": [inner] }));
    let map: serde_json::Map<String, Value> = (0..1_000).map(|n| (format!("k{n}"), json!(n))).collect();
    json!({
        "short": "x", "none": null, "text": "x y\n".repeat(50_000), "map": map, "deep": deep,
        "list": (0..5_000).collect::<Vec<_>>(), "strings": vec!["'a: b"; 5_000],
        "json": format!("[{}1]", "1,".repeat(20_000)), "yaml": "- a: [b, c]\n".repeat(5_000),
        "blank": " ".repeat(100_000), "quotes": "\"'".repeat(50_000), "lines": "\n".repeat(100_000),
    })
}

#[test]
fn hostile_templates_end_with_objects_or_an_error() {
    deep(|| {
        let row = row();
        let (mut rendered_some, mut refused_some) = (0, 0);
        for case in cases::all().into_iter().step_by(STRIDE) {
            match render(&case.source, row.clone()) {
                Ok(documents) => {
                    rendered_some += 1;
                    let size: usize = documents.iter().map(|document| document.to_string().len()).sum();
                    assert!(size <= 64 << 20, "{}: {size} bytes", case.name);
                }
                Err(error) => {
                    refused_some += 1;
                    assert!(error.to_string().len() < 1_000, "{}: {error}", case.name);
                }
            }
        }
        assert!(rendered_some > 10 && refused_some > 10, "{rendered_some} rendered, {refused_some} refused");
    });
}
