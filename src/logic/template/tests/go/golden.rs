//! What Go's text/template with Sprig and sigs.k8s.io/yaml make of the same templates (`tests/golden/gotemplates`).

use super::*;

#[test]
fn benign_rows_give_the_objects_that_go_gives() {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let cases = read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/gotemplates/cases.json")));
    let expected = read(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/gotemplates/expected.json")));
    let templates = cases["templates"].as_object().unwrap();
    assert!(templates.len() > 25);
    for (name, source) in templates {
        let got = render(source.as_str().unwrap(), cases["row"].clone());
        let got = got.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(json!(got), expected[name], "{name}");
    }
}
