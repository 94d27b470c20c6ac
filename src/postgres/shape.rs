//! What the columns of a table are, as SQL.

/// An expression that differs whenever a column comes, goes or is called otherwise, of the type of rows that an expression
/// gives and of all types within it, or a value of an enum among them is: no row is written for that, and `pg_class` does
/// not show it. A table's own columns are enough, as those of its parts go by their names. Neither ANALYZE nor VACUUM
/// writes what it reads. Each sub-select is by an index, however large the catalogs are.
macro_rules! shape {
    ($of:literal) => {
        concat!(
            "(WITH RECURSIVE type(oid) AS ( \
                SELECT ",
            $of,
            " UNION SELECT v.oid FROM type CROSS JOIN LATERAL ( \
                    SELECT unnest(ARRAY[t.typbasetype, t.typelem] || ARRAY( \
                        SELECT a.atttypid FROM pg_catalog.pg_attribute a \
                        WHERE a.attrelid = t.typrelid AND a.attnum > 0)) \
                    FROM pg_catalog.pg_type t WHERE t.oid = type.oid) AS v(oid) \
                WHERE v.oid <> 0) \
            SELECT string_agg(concat_ws(' ', type.oid, \
                (SELECT string_agg(concat_ws(' ', a.attnum, a.xmin), ',' ORDER BY a.attnum) \
                    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid \
                    WHERE t.oid = type.oid AND a.attnum > 0), \
                (SELECT string_agg(concat_ws(' ', e.oid, e.xmin), ',' ORDER BY e.oid) \
                    FROM pg_catalog.pg_enum e WHERE e.enumtypid = type.oid)), ';' ORDER BY type.oid) \
            FROM type)"
        )
    };
}

pub(super) use shape;
