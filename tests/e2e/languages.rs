//! Templates in either language.

use serde_json::json;

use crate::support::world::{World, condition};

const GO: &str = "{{- define \"data\" }}\nv: {{ .v | quote }}\nprice: {{ .price | quote }}\nowner: \"{{ .owner }}\"\n{{- end -}}\n\
    apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Row.name }}\n  labels:\n    {{- toYaml .Row.labels | nindent 4 }}\n\
    data:\n  {{- include \"data\" (dict \"v\" .Row.v \"price\" .Row.price \"owner\" .Metadata.Name) | nindent 2 }}\n";

#[tokio::test]
async fn a_go_template_is_found_out_and_binds_its_values() {
    let world = World::new("go-template", &["a", "b"]).await;
    world.run_sql("UPDATE t SET v = E'x\\n  admin: \"true\"' WHERE name = 'b'").await;
    let query = "SELECT name, v, 12.50::numeric AS price, jsonb_build_object('app', name) AS labels FROM t";
    world.create("q", json!({"query": query, "resourceTemplate": GO})).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["templateLanguage"], "Go");
    let data = |v: &str| {
        Some([("v", v), ("price", "12.50"), ("owner", "q")].map(|(k, v)| (k.to_owned(), v.to_owned())).into())
    };
    for (name, v) in [("a", "one"), ("b", "x\n  admin: \"true\"")] {
        let object = world.config_maps().get(name).await.unwrap();
        assert_eq!(object.data, data(v));
        assert_eq!(object.metadata.labels.unwrap()["app"], name);
    }
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'").await;
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn a_template_in_both_languages_is_refused_until_the_spec_says_which() {
    let world = World::new("both-languages", &["a"]).await;
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Row.name }}\ndata:\n  v: \"{% {{ .Row.v }}\"\n";
    world.create("q", json!({ "resourceTemplate": template })).await;
    let refused = world.condition("q", "Ready", "False", Some("InvalidSpec")).await;
    let message = condition(&refused, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("line 4") && message.contains("set templateLanguage"), "{message}");
    world.patch("q", json!({"spec": {"templateLanguage": "Go"}})).await;
    world.until_value("a", Some("{% one")).await;
    assert_eq!(world.ready("q").await["status"]["templateLanguage"], "Go");
    world
        .patch(
            "q",
            json!({"spec": {"templateLanguage": "Auto", "resourceTemplate": crate::support::world::CONFIG_MAP}}),
        )
        .await;
    world.until_value("a", Some("one")).await;
    world.another_pass("q").await;
    assert_eq!(world.get("q").await["status"]["templateLanguage"], "Jinja");
}
