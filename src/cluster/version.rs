//! Which Kubernetes the API server is.

use serde::Deserialize;

use super::Cluster;
use super::failure::{Asked, Failure};
use super::request::Call;
use crate::logic::kubernetes::Reported;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Info {
    major: String,
    minor: String,
    git_version: String,
}

impl Cluster {
    /// What the server says of its version.
    pub async fn version(&self) -> Result<Reported, Failure> {
        let asked = Asked { verb: "get", resource: "/version".into(), namespace: None };
        let info: Info = self.ask_aside(Call::get("/version".into(), asked)).await?.read()?;
        Ok(Reported { major: info.major, minor: info.minor, git_version: info.git_version })
    }
}
