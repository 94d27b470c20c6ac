//! The tables that are read through a table, as SQL.

/// A recursive common table expression `tree(oid, leaving)`: the table whose oid an expression gives, and all that descend
/// from it, each once; `leaving` is whether it is a partition that is being detached.
macro_rules! tree {
    ($root:literal) => {
        concat!(
            "tree(oid, leaving) AS ( \
                SELECT ",
            $root,
            ", false UNION SELECT i.inhrelid, i.inhdetachpending \
                FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid) "
        )
    };
}

pub(super) use tree;
