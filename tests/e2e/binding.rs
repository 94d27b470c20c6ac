//! What a row holds reaches the cluster byte for byte, and costs nobody else anything.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::support::world::{PATIENCE, World, condition};

/// Values of each language's round.
const VALUES: usize = 150;

const JINJA: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: jinja-{{ row.id }}
data:
  plain: {{ row.v }}
  quoted: "<{{ row.v }}>"
  block: |
    a: {{ row.v }}
    end
  json: {{ row.tree | toJson | quote }}
  {{ row.tree | toYaml }}
---
apiVersion: apps/v1
kind: ControllerRevision
metadata:
  name: jinja-{{ row.id }}
revision: {{ row.id }}
data:
  {{ row.any | toYaml }}
"#;

const GO: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: go-{{ .Row.id }}
data:
  plain: {{ .Row.v | quote }}
  quoted: "<{{ .Row.v }}>"
  block: |
    a: {{ .Row.v }}
    end
  json: {{ .Row.tree | toJson | quote }}
  {{- toYaml .Row.tree | nindent 2 }}
---
apiVersion: apps/v1
kind: ControllerRevision
metadata:
  name: go-{{ .Row.id }}
revision: {{ .Row.id }}
data:
  {{- toYaml .Row.any | nindent 2 }}
"#;

/// What means something to YAML, JSON, a template language, SQL or our own markers.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\r\n",
    "\t",
    " ",
    "'",
    "\"",
    "\\",
    "\\n",
    ":",
    ": ",
    "- ",
    "#",
    " # ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "*a",
    "&a ",
    "!!str ",
    "|",
    ">-",
    "%",
    "@",
    "`",
    "? ",
    "<<: ",
    "---\n",
    "\n...\n",
    "{{",
    "}}",
    "{{ row.v }}",
    "{{ .Row.v }}",
    "{%",
    "{% endfor %}",
    "{{- end }}",
    "{# ",
    "${x}",
    "$1",
    "true",
    "null",
    "~",
    "012",
    "1e3",
    "0x1F",
    ".inf",
    "yes",
    "\u{e000}0\u{e001}",
    "\u{e000}y1\u{e001}",
    "\u{e000}",
    "\u{e001}",
    "\u{e002}",
    "\u{e003}",
    "\u{1}",
    "\u{1b}[0m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "é",
    "e\u{301}",
    "字",
    "🦀",
    "\u{202e}",
    "admin: \"true\"",
    "a",
    "word",
];

/// Texts of pieces, the same in every run.
fn values() -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    let single = PIECES.iter().map(|piece| (*piece).to_owned());
    let mixed = std::iter::repeat_with(|| (0..=random(12)).map(|_| PIECES[random(PIECES.len())]).collect::<String>());
    let large = format!("{}\n", "k: [\"{{ x }}\", 'y']\n".repeat(8_000));
    [String::new(), large].into_iter().chain(single).chain(mixed).take(VALUES).collect()
}

#[tokio::test]
async fn whatever_a_row_holds_is_read_back_from_the_cluster_byte_for_byte() {
    let world = World::new("binding", &[]).await;
    world.run_sql("CREATE TABLE h (id int PRIMARY KEY, v text NOT NULL)").await;
    let values = values();
    for (id, value) in (0_i32..).zip(&values) {
        world.sql.execute("INSERT INTO h VALUES ($1, $2)", &[&id, value]).await.unwrap();
    }
    let query = "SELECT id, v, jsonb_build_object('spliced', v) AS tree, \
                 jsonb_build_object('v', v, 'k' || v, jsonb_build_array(v, id)) AS any FROM h";
    for (name, template) in [("jinja", JINJA), ("go", GO)] {
        world.create(name, json!({"query": query, "resourceTemplate": template})).await;
    }
    for name in ["jinja", "go"] {
        until(&world, name, "True", None).await;
        let selector = format!("konnektr.io/managed-by={name}");
        let found = world.config_maps().list(&ListParams::default().labels(&selector)).await.unwrap().items;
        assert_eq!(found.len(), values.len());
        for object in found {
            let id: usize = object.metadata.name.unwrap().split_once('-').unwrap().1.parse().unwrap();
            let (value, data) = (&values[id], object.data.unwrap());
            assert_eq!(data.len(), 5, "{name} {id}");
            assert_eq!(&data["plain"], value, "{name} {id}");
            assert_eq!(data["quoted"], format!("<{value}>"), "{name} {id}");
            assert_eq!(data["block"], format!("a: {value}\nend\n"), "{name} {id}");
            assert_eq!(
                serde_json::from_str::<Value>(&data["json"]).unwrap(),
                json!({ "spliced": value }),
                "{name} {id}"
            );
            assert_eq!(&data["spliced"], value, "{name} {id}");
        }
        let revisions: Api<ControllerRevision> = Api::namespaced(world.client.clone(), world.namespace.name());
        let found = revisions.list(&ListParams::default().labels(&selector)).await.unwrap().items;
        assert_eq!(found.len(), values.len());
        for object in found {
            let (id, data) = (usize::try_from(object.revision).unwrap(), object.data.unwrap().0);
            let value = &values[id];
            assert_eq!(data, json!({"v": value, format!("k{value}"): [value, id]}), "{name} {id}");
        }
    }
}

#[tokio::test]
async fn a_hostile_template_costs_its_own_resource_an_error_and_nobody_else_anything() {
    let world = World::new("hostile", &["a"]).await;
    let hostile = [
        (
            "endless",
            "{% for a in range(99999) %}{% for b in range(99999) %}{{ row.name }}{% endfor %}{% endfor %}".to_owned(),
        ),
        ("itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned()),
        ("doubling", format!("{{% set x = row.name %}}{}{{{{ x }}}}", "{% set x = x ~ x %}".repeat(60))),
        ("deep", format!("a: {{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000))),
        ("chained", format!("a: {{{{ 1{} }}}}", " + 1".repeat(12_000))),
        ("nested", format!("{}{}", "[".repeat(20_000), "]".repeat(20_000))),
        ("laughs", (0..30).map(|n| format!("x{n}: &a{n} [*a{p}, *a{p}]\n", p = n.max(1) - 1)).collect()),
        ("go-itself", "{{ define \"m\" }}{{ template \"m\" . }}{{ end }}{{ template \"m\" .Row }}".to_owned()),
        ("go-endless", "{{ range until 9999 }}{{ range until 9999 }}{{ $.Row.name }}{{ end }}{{ end }}".to_owned()),
        ("go-large", "{{ $x := .Row.name }}{{ range until 40 }}{{ $x = cat $x $x }}{{ end }}{{ $x }}".to_owned()),
    ];
    for (name, template) in &hostile {
        world.create(name, json!({ "resourceTemplate": template })).await;
    }
    world.create("good", json!({})).await;
    world.until_value("a", Some("one")).await;
    for (name, _) in &hostile {
        let resource = until(&world, name, "False", None).await;
        let reason = condition(&resource, "Ready").unwrap()["reason"].clone();
        let reasons = ["InvalidSpec", "PartiallyFailed", "RenderFailed"];
        assert!(reasons.iter().any(|expected| reason == *expected), "{name}: {reason}");
    }
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    assert_eq!(world.managed().await, ["a"]);
}

#[tokio::test]
async fn a_template_that_costs_too_much_keeps_no_connection_from_others() {
    let world = World::new("costly", &["a"]).await;
    let costly = "{% for a in range(99999) %}{% for b in range(99999) %}{{ row.name }}{% endfor %}{% endfor %}";
    // However busy the machine is, the template gives out before the statement does.
    let (secret, pool) = (json!({"name": "db"}), json!({"maxOpenConns": 1}));
    let database = json!({"connectionSecretRef": secret, "connectionPool": pool, "statementTimeout": "5m"});
    let query = "SELECT 'x' || n AS name FROM generate_series(1, 3000) n";
    let more = json!({"query": query, "resourceTemplate": costly, "database": database});
    world.create("costly", more).await;
    let resource = until(&world, "costly", "False", Some("RenderFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the template costs too much"), "{message}");
    world.create("good", json!({"database": database})).await;
    until(&world, "good", "True", None).await;
}

/// Waits for Ready to be so: what is dear to compute takes its time in an unoptimised build.
async fn until(world: &World, name: &str, status: &str, reason: Option<&str>) -> Value {
    world.condition_within(5 * PATIENCE, name, "Ready", status, reason).await
}
