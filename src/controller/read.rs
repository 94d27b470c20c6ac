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
use tokio::time::sleep;

use super::detect::Sought;
use super::error::Error;
use super::memory::Memory;
use super::pass::{Pass, limits};
use crate::logic::detect::Fingerprint;
use crate::logic::document::Frame;
use crate::logic::keyed::{KeyedPlan, KeyedTable};
use crate::logic::object::Kind;
use crate::logic::render::{Rendered, Renderer, budget};
use crate::logic::row::{Key, Row};
use crate::logic::rows::{Entangled, Keys};
use crate::logic::schedule::Look;
use crate::logic::sql::MOST_KEYS;
use crate::logic::state;
use crate::logic::validate::Validated;
use crate::logic::wake::{Pending, Touched, Wake};
use crate::postgres::{self, Lease, Pool, Read};

/// More rounds than these mean that rows are read as a whole.
const ROUNDS: usize = 3;

/// How long a read of all rows waits for the replica to have what the primary has.
const CATCH_UP: Duration = Duration::from_millis(200);

/// What is known of a read besides its rows.
pub(super) struct Seen {
    /// Whether all rows were read.
    pub whole: bool,
    /// The fingerprint of the watched tables from before, if so.
    pub print: Option<Option<Fingerprint>>,
    /// How long the query took.
    pub query_time: Duration,
}

impl Pass<'_> {
    /// Reads what is sought and takes it in. Where rows of some keys cannot be taken alone, those that they are entangled
    /// with are read as well, or all.
    pub(super) async fn read(
        &self,
        memory: &mut Memory,
        valid: &Arc<Validated>,
        pool: &Arc<Pool>,
        sought: Sought,
    ) -> Result<(state::Read, Seen), Error> {
        if let Sought::Keys(plan, touched) = sought {
            if let Some(keys) = self.keys(memory, valid, pool, &plan, touched).await?
                && let Some(read) = self.read_keys(memory, valid, pool, &plan, keys).await?
            {
                return Ok(read);
            }
            memory.notified.wakes.leave(Pending::new(Wake::Everything, Instant::now()));
            let sought = self.seek(memory, valid, pool, Look::Full).await?;
            return Box::pin(self.read(memory, valid, pool, sought)).await;
        }
        let (rendered, told, query_time) = self.unless_stopped(self.rows(memory, valid, pool, None)).await?;
        let print = if let Sought::All(print) = sought { print } else { None };
        let read = memory.state.absorb(rendered, told.key_columns, Instant::now());
        Ok((read, Seen { whole: true, print: Some(print), query_time }))
    }

    /// The keys of the query's rows that have to do with what changed: rows that showed the key of another table's row when
    /// they were read, and those that show it now. Whatever changes between this and the read is notified later. None
    /// where all rows have to be read instead.
    async fn keys(
        &self,
        memory: &Memory,
        valid: &Validated,
        pool: &Arc<Pool>,
        plan: &KeyedPlan,
        touched: Touched,
    ) -> Result<Option<Keys>, Error> {
        let Touched { rows: mut keys, others } = touched;
        if !keys.is_empty() && !plan.has_first() {
            return Ok(None);
        }
        keys.append(&mut memory.state.rows().showing(&others, MOST_KEYS));
        let mut left = others.len();
        for table in plan.others() {
            let of_it = others.iter().filter(|(oid, _)| *oid == table.oid);
            let of_it: Vec<Key> = of_it.filter_map(|(_, key)| Key::parse(key)).collect();
            left -= of_it.len();
            if of_it.is_empty() || keys.len() > MOST_KEYS {
                continue;
            }
            match self.unless_stopped(self.keys_showing(valid, pool, plan, table, &of_it)).await {
                Err(Error::Query(error)) if error.is_of_keys() => return Ok(None),
                found => keys.extend(found?.into_iter().map(Arc::from)),
            }
        }
        Ok(Some(keys).filter(|keys| left == 0 && keys.len() <= MOST_KEYS))
    }

    /// On the primary: what is read of these rows later is newer on a replica, too.
    async fn keys_showing(
        &self,
        valid: &Validated,
        pool: &Arc<Pool>,
        plan: &KeyedPlan,
        table: &KeyedTable,
        keys: &[Key],
    ) -> Result<Vec<String>, Error> {
        let mut lease = pool.lease().await.map_err(Error::Query)?;
        let found = lease.session.keys_showing(&valid.query, &limits(valid), plan, table, keys).await;
        lease.give_back();
        found.map_err(Error::Query)
    }

    /// The rows of some keys; None where all have to be read instead.
    async fn read_keys(
        &self,
        memory: &mut Memory,
        valid: &Arc<Validated>,
        pool: &Arc<Pool>,
        plan: &KeyedPlan,
        mut keys: Keys,
    ) -> Result<Option<(state::Read, Seen)>, Error> {
        for _ in 0..ROUNDS {
            let parsed: Vec<Key> = keys.iter().filter_map(|key| Key::parse(key)).collect();
            let rows = self.unless_stopped(self.rows(memory, valid, pool, Some((plan, &parsed)))).await;
            let (rendered, told, query_time) = match rows {
                Err(Error::Query(error)) if error.is_of_keys() => return Ok(None),
                rows => rows?,
            };
            if told.key_columns != memory.state.rows().key_columns {
                return Ok(None);
            }
            match memory.state.absorb_keys(&keys, rendered, Instant::now()) {
                Ok(read) => return Ok(Some((read, Seen { whole: false, print: None, query_time }))),
                Err(Entangled::With(others)) => keys.extend(others),
                Err(Entangled::AtOdds) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// All rows, or those of some keys, rendered, and how long the query took. The transaction ends with the last row,
    /// and others get the connection then. Where one side fails, the other is given up: a connection is not kept for a
    /// template.
    async fn rows(
        &self,
        memory: &Memory,
        valid: &Arc<Validated>,
        pool: &Arc<Pool>,
        keyed: Option<(&KeyedPlan, &[Key])>,
    ) -> Result<(Rendered, Read, Duration), Error> {
        if let Some(lease) = self.caught_up(memory, valid, pool, keyed.is_some()).await {
            match self.rows_from(lease, memory, valid, keyed).await {
                // Whatever a replica cannot do, its primary may.
                Err(Error::Query(error)) => tracing::debug!(dbqr = %self.owner, "read on the primary instead: {error}"),
                rows => return rows,
            }
        }
        let lease = pool.lease().await.map_err(Error::Query)?;
        self.rows_from(lease, memory, valid, keyed).await
    }

    /// A connection to the replica, if there is one that has all that the primary has by now.
    async fn caught_up(&self, memory: &Memory, valid: &Validated, pool: &Arc<Pool>, is_keyed: bool) -> Option<Lease> {
        let replica = memory.replica.as_ref()?;
        let limits = limits(valid);
        let ahead = pool.lease().await.ok()?;
        let position = ahead.session.position(&limits).await.ok()??;
        ahead.give_back();
        let replica = replica.lease().await.ok()?;
        let patience = if is_keyed { Duration::ZERO } else { CATCH_UP };
        let begin = Instant::now();
        loop {
            match replica.session.has_replayed(&position, &limits).await {
                Ok(true) => return Some(replica),
                Ok(false) if begin.elapsed() < patience => sleep(CATCH_UP / 20).await,
                Ok(false) => {
                    replica.give_back();
                    return None;
                }
                Err(_) => return None,
            }
        }
    }

    async fn rows_from(
        &self,
        mut lease: Lease,
        memory: &Memory,
        valid: &Arc<Validated>,
        keyed: Option<(&KeyedPlan, &[Key])>,
    ) -> Result<(Rendered, Read, Duration), Error> {
        let (rows, batches) = mpsc::channel(4);
        let plan = keyed.map(|(plan, _)| plan).or(memory.notified.keyed().map(|plan| &**plan));
        let others: Vec<KeyedTable> = plan.into_iter().flat_map(KeyedPlan::others).cloned().collect();
        let rendered = self.render(memory, valid, others.clone(), batches);
        let limits = limits(valid);
        let begin = Instant::now();
        let read = async {
            let read = match keyed {
                None => lease.session.read(&valid.query, &limits, &others, rows).await,
                Some((plan, keys)) => lease.session.read_keys(&valid.query, &limits, plan, keys, rows).await,
            };
            let read = match read {
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
        memory: &Memory,
        valid: &Arc<Validated>,
        others: Vec<KeyedTable>,
        mut batches: mpsc::Receiver<Vec<Row>>,
    ) -> Result<Rendered, Error> {
        let (valid, owner, rights) = (valid.clone(), self.owner.clone(), self.ctx.rights.clone());
        let (known, before) = (memory.state.listing(), memory.state.rows().memo.clone());
        let is_grouping = memory.notified.keyed().is_some();
        let (cluster, runtime) = (self.ctx.cluster.clone(), Handle::current());
        let deletion_policy = self.spec.deletion_policy;
        let now = Timestamp::now();
        let rendered = self.ctx.deep.run(move |is_awaited| {
            // The thread may have worked for others before.
            let begin = thread_time();
            let kinds = RefCell::new(HashMap::<(String, String), Result<Arc<Kind>, String>>::new());
            let find_kind = |api_version: &str, kind: &str| {
                let key = (api_version.to_owned(), kind.to_owned());
                let find = || runtime.block_on(cluster.kind(api_version, kind)).map_err(|error| error.to_string());
                kinds.borrow_mut().entry(key).or_insert_with(find).clone()
            };
            let (gvk, ignored) = (valid.gvk.as_ref(), &*valid.ignored);
            let frame = Frame { owner: &owner, rights: &rights, gvk, deletion_policy, ignored };
            let mut renderer = Renderer::new(&valid.template, &valid.dbqr, now, frame, &find_kind, &known, &before)
                .grouping(is_grouping)
                .showing(others);
            while let Some(batch) = batches.blocking_recv() {
                for row in batch {
                    renderer.row(row);
                    let took = thread_time().saturating_sub(begin);
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
