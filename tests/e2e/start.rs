//! What is not there yet when the operator starts is named and waited for.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Config;
use kube::api::{Api, DeleteParams};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::control_plane::OwnControlPlane;
use crate::support::world::PATIENCE;
use crate::support::{Operator, TestNamespace, eventually, install_crd_again, kube_client, kubeconfig};

async fn until_readiness(operator: &Operator, status: u16, line: &str) {
    // A watch that failed a few times is tried again after up to half a minute.
    eventually(&format!("/readyz answers {status} with {line}"), 2 * PATIENCE, async || {
        let (now, body) = operator.get("/readyz").await;
        (now == status && body.lines().any(|told| told.starts_with(line))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_with_all_it_needs_is_ready_and_alive() {
    let client = kube_client().await;
    let namespace = TestNamespace::create(&client, "ready").await;
    let operator = Operator::start(namespace.name(), &[]);
    until_readiness(&operator, 200, "[+] databasequeryresources: listed").await;
    let (_, body) = operator.get("/readyz").await;
    assert!(body.starts_with("[+] api-server: Kubernetes 1.") && body.contains("\n[+] secrets: listed\n"), "{body}");
    assert_eq!(operator.get("/livez").await, (200, "ok\n".into()));
    assert_eq!(operator.get("/else").await.0, 404);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for() {
    let client = kube_client().await;
    let namespace = TestNamespace::create(&client, "server-away").await;
    let real = Config::infer().await.unwrap();
    // Bound and not listening: nobody else gets the port, and connections are refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("https://{}", socket.local_addr().unwrap());
    let file = kubeconfig("server-away", Some(&address), None);
    let operator = Operator::start_with(namespace.name(), &[], &[("KUBECONFIG", file.to_str().unwrap())]);
    until_readiness(&operator, 503, "[-] api-server: the API server cannot be reached: connection refused").await;
    assert_eq!(operator.get("/livez").await.0, 200, "to wait is no reason to be restarted");
    eventually("the log says so", PATIENCE, async || {
        operator.logs().contains("waiting for the API server").then_some(())
    })
    .await;
    let listener = socket.listen(64).unwrap();
    let behind = format!("127.0.0.1:{}", real.cluster_url.port_u16().unwrap());
    let forwarding = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    until_readiness(&operator, 200, "[+] databasequeryresources").await;
    forwarding.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_definition_is_named_and_waited_for() {
    let servers = OwnControlPlane::start().await;
    let client = servers.client().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = "databasequeryresources.konnektr.io";
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    eventually("the definition is gone", Duration::from_secs(60), async || {
        definitions.get_opt(name).await.unwrap().is_none().then_some(())
    })
    .await;
    let operator = Operator::start_with("default", &[], &[("KUBECONFIG", servers.kubeconfig.to_str().unwrap())]);
    let line = "[-] databasequeryresources: the server does not serve them: install the CustomResourceDefinition";
    until_readiness(&operator, 503, line).await;
    assert!(operator.get("/readyz").await.1.contains("\n[+] secrets: listed\n"));
    assert!(operator.logs().contains("install the CustomResourceDefinition"));
    assert_eq!(operator.get("/livez").await.0, 200);
    install_crd_again(&client).await;
    until_readiness(&operator, 200, "[+] databasequeryresources: listed").await;
    // Gone again, and back: the operator sees both.
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    until_readiness(&operator, 503, line).await;
    install_crd_again(&client).await;
    until_readiness(&operator, 200, "[+] databasequeryresources: listed").await;
}
