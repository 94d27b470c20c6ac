//! The first step: what a resource refers to, and its spec parsed together with that.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Error;
use super::memory::Memory;
use super::pass::Pass;
use crate::logic::account::Account;
use crate::logic::secrets::{Data, SecretNames};
use crate::logic::validate::{self, Validated};
use crate::postgres::Pool;

impl Pass<'_> {
    /// The spec, parsed together with its Secrets, and the pool for it; again only when one of them changed.
    pub(super) async fn validated(&self, memory: &mut Memory) -> Result<(Arc<Validated>, Arc<Pool>), Error> {
        if let (Some(valid), Some(pool)) = (&memory.valid, &memory.pool) {
            return Ok((valid.clone(), pool.clone()));
        }
        // Had until the end: it may turn out to be the right one still.
        let _before = memory.pool.take();
        self.account().await?;
        let secrets = self.secrets().await?;
        let (dbqr, spec, rights) = (self.dbqr.clone(), self.spec.clone(), self.ctx.rights.clone());
        let valid = self
            .ctx
            .deep
            .run(move |_| validate::validate(&dbqr, &spec, &secrets, &rights))
            .await
            .ok_or(Error::Render)?;
        let valid = Arc::new(valid.map_err(Error::Validate)?);
        let pool = self.ctx.pools.pool(&self.owner.namespace, &valid.settings, valid.pool);
        let replica = valid.replica.as_ref();
        memory.replica = replica.map(|settings| self.ctx.pools.pool(&self.owner.namespace, settings, valid.pool));
        (memory.valid, memory.pool) = (Some(valid.clone()), Some(pool.clone()));
        Ok((valid, pool))
    }

    /// Makes sure that there is an account where one has to be.
    pub(super) async fn account(&self) -> Result<(), Error> {
        let named = self.ctx.rights.account(self.spec.service_account_name.as_deref());
        named.map_err(|forbidden| Error::Validate(forbidden.into()))?;
        match Account::of(self.dbqr) {
            Some(account) => self.ctx.cluster.find_account(&account).await.map_err(Error::Account),
            None => Ok(()),
        }
    }

    /// The data of the Secrets that the spec refers to, by name.
    async fn secrets(&self) -> Result<BTreeMap<String, Data>, Error> {
        let SecretNames { namespace, names } = SecretNames::allowed(&self.spec.database, &self.owner, &self.ctx.rights)
            .map_err(|forbidden| Error::Validate(forbidden.into()))?;
        let mut secrets = BTreeMap::new();
        for name in names {
            let data = self.ctx.cluster.secret(&namespace, &name).await.map_err(Error::Fetch)?;
            secrets.insert(name, data);
        }
        Ok(secrets)
    }
}
