//! Runs the query, and renders its rows on a thread of their own while they stream in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join;
use k8s_openapi::jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::reconcile::{Pass, limits};
use super::{deep, error::Error};
use crate::logic::document::Frame;
use crate::logic::inventory::Inventory;
use crate::logic::memo::Memo;
use crate::logic::object::Kind;
use crate::logic::render::{Rendered, Renderer, budget};
use crate::logic::row::Row;
use crate::logic::validate::Validated;
use crate::postgres::{self, Pool, Read};

impl Pass<'_> {
    /// All rows, rendered, and how long the query took. The transaction ends with the last row, and others get the
    /// connection then. Where one side fails, the other is given up: a connection is not kept for a template.
    pub(super) async fn read(
        &self,
        valid: &Arc<Validated>,
        pool: &Arc<Pool>,
        known: Arc<Inventory>,
        before: &Arc<Memo>,
    ) -> Result<(Rendered, Read, Duration), Error> {
        let mut lease = pool.lease().await.map_err(Error::Query)?;
        let (rows, batches) = mpsc::channel(4);
        let rendered = self.render(valid, known, before.clone(), batches);
        let limits = limits(valid);
        let begin = Instant::now();
        let read = async {
            let read = match lease.session.read(&valid.query, &limits, rows).await {
                // Rendering has ended before its time, and says why.
                Err(postgres::Error::Abandoned) => pending().await,
                read => read.map_err(Error::Query)?,
            };
            lease.give_back();
            Ok((read, begin.elapsed()))
        };
        let ((read, query_time), rendered) = try_join(read, rendered).await?;
        Ok((rendered, read, query_time))
    }

    async fn render(
        &self,
        valid: &Arc<Validated>,
        known: Arc<Inventory>,
        before: Arc<Memo>,
        mut batches: mpsc::Receiver<Vec<Row>>,
    ) -> Result<Rendered, Error> {
        let (valid, owner, rights) = (valid.clone(), self.owner.clone(), self.ctx.rights.clone());
        let (cluster, runtime) = (self.ctx.cluster.clone(), Handle::current());
        let deletion_policy = self.spec.deletion_policy;
        let now = Timestamp::now();
        let rendered = deep::run(move |is_awaited| {
            let kinds = RefCell::new(HashMap::<(String, String), Result<Arc<Kind>, String>>::new());
            let find_kind = |api_version: &str, kind: &str| {
                let key = (api_version.to_owned(), kind.to_owned());
                let find = || runtime.block_on(cluster.kind(api_version, kind)).map_err(|error| error.to_string());
                kinds.borrow_mut().entry(key).or_insert_with(find).clone()
            };
            let (gvk, ignored) = (valid.gvk.as_ref(), &*valid.ignored);
            let frame = Frame { owner: &owner, rights: &rights, gvk, deletion_policy, ignored };
            let mut renderer = Renderer::new(&valid.template, &valid.dbqr, now, frame, &find_kind, &known, &before);
            while let Some(batch) = batches.blocking_recv() {
                for row in batch {
                    renderer.row(row);
                    let took = thread_time();
                    if took > budget(renderer.rows()) {
                        return Err(Error::Costly { rows: renderer.rows(), took });
                    }
                    if !is_awaited() {
                        return Err(Error::Stopped);
                    }
                }
            }
            Ok(renderer.finish())
        });
        rendered.await.ok_or(Error::Render)?
    }
}

/// How long this thread has computed: time that it waited, or others computed, does not count.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
