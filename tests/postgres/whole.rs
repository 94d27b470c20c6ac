//! Queries that are read in full after each change, each with its reason; and that reading them by keys would be wrong.

use dbqo::logic::keyed::KeyedPlan;
use dbqo::logic::sql::identifier;

use super::keyed::{Case, SCHEMA, change};
use super::session;
use crate::support::TestDatabase;

const MORE: &str = "
    CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM t';
    CREATE FUNCTION others(int) RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT v FROM t WHERE id <> $1';
    CREATE FUNCTION newest() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT max(v) FROM t); END';
    CREATE FUNCTION restless(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION \"My Fn\"(t) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM t WHERE v = $1.v';
    CREATE FUNCTION beats(int, int) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 > (SELECT min(v) FROM t); END';
    CREATE OPERATOR >@> (leftarg = int, rightarg = int, function = beats);
    CREATE TYPE box1 AS (n bigint);
    CREATE FUNCTION to_box(int) RETURNS box1 LANGUAGE plpgsql STABLE AS 'BEGIN RETURN ROW((SELECT count(*) FROM t))::box1; END';
    CREATE CAST (int AS box1) WITH FUNCTION to_box(int);
    CREATE VIEW limited AS SELECT * FROM t ORDER BY id LIMIT 3;
    CREATE VIEW with_values AS SELECT t.id, x.a FROM t, LATERAL (VALUES (1, how_many()), (2, newest())) x(n, a);
    CREATE VIEW hidden AS SELECT id, newest() AS n FROM t;
    CREATE TABLE guarded (LIKE t INCLUDING ALL);
    ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
    CREATE POLICY few ON guarded USING (v < (SELECT count(*) FROM t));
    CREATE EXTENSION postgres_fdw; CREATE EXTENSION tablefunc;
    CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
    CREATE USER MAPPING FOR PUBLIC SERVER elsewhere;
    CREATE FOREIGN TABLE far (id int, v int) SERVER elsewhere;
    CREATE TABLE nowhere (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
    ";

/// Tables, key columns where they are not the primary key, queries, and what of the reason shows.
const REFUSED: &[(&str, &[&str], &str, &str)] = &[
    (
        "t",
        &["id"],
        "SELECT t.id, s.id AS sid FROM s LEFT JOIN t ON t.id = s.t_id",
        "t is on the optional side of a join",
    ),
    ("t", &["id"], "SELECT t.id, s.id AS sid FROM t RIGHT JOIN s ON t.id = s.t_id", "t is on the optional side"),
    ("t", &["id"], "SELECT t.id, s.id AS sid FROM t FULL JOIN s ON t.id = s.t_id", "t is on the optional side"),
    (
        "t",
        &["id"],
        "SELECT p.id, s.id AS sid FROM s LEFT JOIN (u JOIN plain p ON p.v = u.id) ON p.id = s.t_id",
        "optional side",
    ),
    (
        "t",
        &["id"],
        "SELECT s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.v = s.v)",
        "optional side of a join or in a NOT EXISTS",
    ),
    ("t", &["id"], "SELECT s.id FROM s WHERE EXISTS (SELECT FROM t WHERE t.v = s.v)", "it has GROUP BY, DISTINCT"),
    (
        "t",
        &["id"],
        "SELECT s.id FROM s WHERE EXISTS (SELECT FROM t WHERE t.id = s.t_id)",
        "the key column id is not t's own",
    ),
    ("t", &["zone"], "SELECT zone, count(*) AS n FROM t GROUP BY zone", "it has GROUP BY"),
    ("t", &["id"], "SELECT id, v, count(*) AS n FROM t GROUP BY id", "it has GROUP BY"),
    ("t", &["id"], "SELECT max(id) AS id FROM t", "a sub-select in it is computed apart"),
    ("t", &["id"], "SELECT DISTINCT id, v FROM t", "DISTINCT"),
    ("t", &["id"], "SELECT DISTINCT ON (zone) id, zone FROM t ORDER BY zone, v", "DISTINCT"),
    ("t", &["id"], "SELECT id, v FROM t ORDER BY v, id LIMIT 3", "it has a LIMIT or OFFSET"),
    ("t", &["id"], "SELECT id, v FROM t ORDER BY v, id OFFSET 2", "it has a LIMIT or OFFSET"),
    ("t", &["id"], "SELECT id, v FROM limited", "it has a LIMIT or OFFSET"),
    ("t", &["id"], "SELECT id, rank() OVER (ORDER BY v) AS r FROM t", "it has a window function"),
    ("t", &["id"], "SELECT parent_id AS id, v FROM t", "the key column id is not t's own column of that name"),
    ("t", &["id"], "SELECT id + 0 AS id, v FROM t", "the key column id is not t's own"),
    ("t", &["id"], "SELECT id::text AS id, v FROM t", "the key column id is not t's own"),
    ("t", &["id"], "SELECT s.t_id AS id, t.v FROM t JOIN s ON s.t_id = t.id", "the key column id is not t's own"),
    ("t", &["id"], "SELECT s.id, t.v FROM t JOIN s ON s.t_id = t.id", "the key column id is not t's own"),
    (
        "t",
        &["id"],
        "SELECT coalesce(t.id, s.id) AS id FROM t JOIN s ON s.t_id = t.id",
        "the key column id is not t's own",
    ),
    (
        "pair",
        &["id", "parent_id"],
        "SELECT id AS parent_id, parent_id AS id, v FROM pair",
        "the key column id is not pair's own",
    ),
    (
        "t",
        &["id"],
        "SELECT id, v FROM (SELECT parent_id AS id, v FROM t OFFSET 0) x WHERE v > 1",
        "and cannot be followed to t",
    ),
    ("t", &["id"], "SELECT id, v FROM barred WHERE zone LIKE 'a%'", "and cannot be followed to t"),
    ("t", &["id"], "SELECT id, how_many() AS n FROM t", "the function how_many may read tables"),
    ("t", &["id"], "SELECT t.id, o FROM t, others(t.id) o", "it reads t more than once"),
    ("t", &["id"], "SELECT id, newest() AS n FROM t", "the function newest may read tables"),
    ("t", &["id"], "SELECT id, n FROM hidden", "the function newest may read tables"),
    ("t", &["id"], "SELECT id, t.\"My Fn\" AS n FROM t", "the function My Fn may read tables"),
    ("t", &["id"], "SELECT id, v FROM t WHERE public.restless(v) > 1", "the function restless is volatile"),
    ("t", &["id"], "SELECT id, random() AS r FROM t", "the function random is volatile"),
    ("t", &["id"], "SELECT id, v FROM t ORDER BY clock_timestamp()", "the function clock_timestamp is volatile"),
    ("t", &["id"], "SELECT id, gen_random_uuid() AS u FROM t", "the function gen_random_uuid is volatile"),
    (
        "t",
        &["id"],
        "SELECT id, table_to_xml('t', true, true, '')::text AS x FROM t",
        "the function table_to_xml may read tables",
    ),
    (
        "t",
        &["id"],
        "SELECT t.id, c.b FROM t, crosstab('SELECT 1, 2, count(*)::int FROM t') c(a int, b int)",
        "the function crosstab may read",
    ),
    ("t", &["id"], "SELECT id, v FROM t WHERE v >@> 1", "the operator >@> may read tables"),
    ("t", &["id"], "SELECT id, v::box1 AS b FROM t", "the cast to box1 may read tables"),
    (
        "t",
        &["id"],
        "SELECT t.id, x.a FROM t, LATERAL (VALUES (1, how_many()), (2, newest())) x(n, a)",
        "the function how_many may",
    ),
    ("t", &["id"], "SELECT id, a FROM with_values", "it may read VALUES in the view with_values"),
    ("t", &["id"], "WITH w AS MATERIALIZED (SELECT * FROM t) SELECT id, v FROM w", "a WITH of it is computed apart"),
    (
        "t",
        &["id"],
        "WITH w AS (SELECT * FROM t) SELECT a.id, b.v FROM w a JOIN w b ON b.v = a.v",
        "a WITH of it is computed apart",
    ),
    (
        "t",
        &["id"],
        "WITH RECURSIVE w AS (SELECT id, parent_id FROM t WHERE id = 1 UNION \
        SELECT t.id, t.parent_id FROM t JOIN w ON t.parent_id = w.id) SELECT id, parent_id FROM w",
        "a WITH of it is computed apart",
    ),
    ("t", &["id"], "SELECT a.id, b.v FROM t a JOIN t b ON b.id = a.parent_id", "it reads t more than once"),
    ("t", &["id"], "SELECT a.id, b.v FROM t a LEFT JOIN plain b ON b.id = a.parent_id", "optional side"),
    ("t", &["id"], "SELECT p.id, t.v FROM plain p JOIN t ON t.parent_id = p.id", "it reads t more than once"),
    ("t", &["id"], "SELECT id, v FROM t WHERE parent_id IN (SELECT id FROM t)", "it reads t more than once"),
    ("t", &["id"], "SELECT id, v FROM t UNION SELECT id, v FROM s", "it has GROUP BY, DISTINCT, UNION"),
    ("t", &["id"], "SELECT id, v FROM t INTERSECT SELECT id, v FROM s", "INTERSECT or EXCEPT"),
    ("t", &["id"], "SELECT id, v FROM s EXCEPT SELECT id, v FROM t", "INTERSECT or EXCEPT"),
    ("t", &["id"], "SELECT id, v FROM t UNION ALL SELECT id, v FROM s", "it has t in a UNION ALL"),
    ("t", &["id"], "SELECT id, v FROM t UNION ALL SELECT parent_id, v FROM t", "it reads t more than once"),
    (
        "t",
        &["id"],
        "SELECT a.id, u.v FROM (SELECT id FROM s UNION ALL SELECT parent_id FROM t) a JOIN u ON u.id = a.id",
        "UNION ALL",
    ),
    (
        "t",
        &["id"],
        "SELECT id, (SELECT count(*) FROM s WHERE s.t_id = t.id) AS n FROM t",
        "a sub-select in it is computed apart",
    ),
    ("t", &["id"], "SELECT id, (SELECT count(*) FROM t) AS n FROM t", "a sub-select in it is computed apart"),
    ("t", &["id"], "SELECT id, v FROM t WHERE v = (SELECT max(v) FROM t)", "a sub-select in it is computed apart"),
    ("t", &["id"], "SELECT id, v FROM t WHERE v NOT IN (SELECT v FROM s WHERE v IS NOT NULL)", "a sub-select in it"),
    ("t", &["id"], "SELECT id, ARRAY(SELECT v FROM s) AS vs FROM t", "a sub-select in it is computed apart"),
    ("t", &["id"], "SELECT t.id, x.n FROM t, (SELECT count(*) AS n FROM s) x", "it has GROUP BY"),
    ("t", &["id"], "SELECT id, v FROM t TABLESAMPLE BERNOULLI (50) REPEATABLE (1)", "it has a TABLESAMPLE"),
    ("t", &["id"], "SELECT id, v FROM t FOR UPDATE", "it locks rows"),
    ("t", &["id"], "SELECT t.id, f.v FROM t JOIN far f ON f.id = t.id", "it reads a foreign table"),
    ("t", &["id"], "SELECT id, v FROM t WHERE false", "a part of it never has rows"),
    (
        "t",
        &["id"],
        "SELECT x.id, s.v FROM s LEFT JOIN (SELECT * FROM t WHERE false) x ON true",
        "a part of it never has rows",
    ),
    ("t", &["id"], "SELECT id, v FROM s", "it does not read t itself"),
    ("t", &["v"], "SELECT v, n FROM stored", "it does not read t itself"),
    ("nowhere", &[], "SELECT id, v FROM nowhere", "a part of it never has rows"),
    ("ranged", &["id"], "SELECT a.id, b.v FROM low a JOIN high b ON b.v = a.v", "it reads ranged more than once"),
    (
        "ranged",
        &["id"],
        "SELECT a.id, b.v FROM ranged a JOIN high b ON b.v = a.v WHERE a.id < 5",
        "it reads ranged more than once",
    ),
    (
        "ranged",
        &["id"],
        "SELECT id, parent_id FROM low UNION ALL SELECT parent_id, id FROM high",
        "the key column id is not ranged's own",
    ),
    (
        "ranged",
        &["id"],
        "SELECT a.id, u.v FROM (SELECT id, parent_id FROM low UNION ALL SELECT parent_id, id FROM high) a \
        JOIN u ON u.id = a.parent_id",
        "the key column id is not everywhere ranged's own",
    ),
    ("low", &["id"], "SELECT id, v FROM high", "it does not read low itself"),
    (
        "guarded",
        &["id"],
        "SET ROLE pg_read_all_data; SELECT id, v FROM guarded",
        "a sub-select in it is computed apart",
    ),
    (
        "t",
        &["id"],
        "CREATE TEMP TABLE y AS SELECT count(*) AS n FROM t; SELECT t.id, y.n FROM t, y",
        "statement 1 of 2 is none of SET",
    ),
    (
        "t",
        &["id"],
        "SET work_mem = '4MB'; SELECT set_config('a.b', (SELECT max(v) FROM t)::text, false); \
        SELECT id, current_setting('a.b') AS m FROM t",
        "statement 2 of 3 is none of SET",
    ),
    ("t", &["id"], "UPDATE t SET v = v RETURNING id", "the last statement changes data"),
    ("plain", &["id"], "SELECT id, v FROM plain", "plain is a view"),
    ("stored", &["v"], "SELECT v, n FROM stored", "stored is a materialized view"),
    ("far", &["id"], "SELECT id, v FROM t", "far is a foreign table"),
    ("missing", &["id"], "SELECT id, v FROM t", "there is no table missing"),
    ("loose", &[], "SELECT id, v FROM loose", "no columns name the query's rows"),
];

async fn prepared(test: &str) -> TestDatabase {
    let database = TestDatabase::create(test).await;
    database.client().await.batch_execute(&format!("{SCHEMA}{MORE}")).await.unwrap();
    database
}

#[tokio::test]
async fn what_cannot_be_read_by_its_keys_says_why() {
    let database = prepared("whole").await;
    let mut judge = session(&database).await;
    let mut surprises = Vec::new();
    for (table, key, sql, reason) in REFUSED {
        let case = Case::new(table, Some(*key).filter(|key| !key.is_empty()), sql);
        let told = case.judge(&mut judge).await.map_or_else(|whole| whole.to_string(), |_| "keyed".into());
        if !told.starts_with("full reads: ") || !told.contains(reason) {
            surprises.push(format!("{sql}: {told}"));
        }
        assert!(!judge.is_closed());
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}

/// Shows that the check by which keyed reads are shown to be right finds those that are not.
#[tokio::test]
async fn keyed_reads_of_what_is_refused_go_wrong() {
    let database = prepared("wrong").await;
    for part in [
        "FROM s LEFT JOIN t ON t.id",
        "FULL JOIN",
        "DISTINCT ON",
        "LIMIT 3",
        "OFFSET 2",
        "FROM limited",
        "rank()",
        "SELECT parent_id AS id, v FROM t",
        "how_many() AS n FROM t",
        "others(t.id)",
        "FROM hidden",
        "\"My Fn\"",
        ">@> 1",
        "v::box1",
        "FROM with_values",
        "FROM w a JOIN w b",
        "WITH RECURSIVE",
        "FROM t a JOIN t b",
        "JOIN plain b",
        "plain p JOIN t",
        "IN (SELECT id FROM t)",
        "SELECT parent_id, v FROM t",
        "(SELECT count(*) FROM t)",
        "(SELECT max(v) FROM t)",
    ] {
        let mut found = REFUSED.iter().filter(|(_, _, sql, _)| sql.contains(part) && !sql.starts_with("CREATE"));
        let (table, key, sql, _) = found.next().unwrap_or_else(|| panic!("{part}"));
        let case = Case::new(table, Some(key), sql);
        let columns = key.iter().map(|name| identifier(name).unwrap()).collect();
        let plan = KeyedPlan { columns, tables: Vec::new(), edition: 0 };
        let held = case.holds(&database, &plan, 100, |dice| change(table, dice)).await;
        assert!(held.is_err(), "{sql}: nothing was found wrong with it");
    }
}

/// A cast that happens by itself, and a comparison without a sign, show in no plan.
#[tokio::test]
async fn what_runs_without_a_word_is_looked_for_too() {
    let database = prepared("unseen").await;
    let client = database.client().await;
    let mut judge = session(&database).await;
    let case = Case::new("t", Some(&["id"]), "SELECT id, v FROM t");
    case.judge(&mut judge).await.unwrap();
    for (sql, reason) in [
        (
            "CREATE FUNCTION same(box1, int) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN EXISTS (SELECT FROM t); END'; \
             CREATE OPERATOR = (leftarg = box1, rightarg = int, function = same)",
            "full reads: the operator = may read tables",
        ),
        (
            "DROP OPERATOR = (box1, int); \
             CREATE FUNCTION from_box(box1) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM t); END'; \
             CREATE CAST (box1 AS int) WITH FUNCTION from_box(box1) AS IMPLICIT",
            "full reads: the cast to int4 may read tables",
        ),
    ] {
        client.batch_execute(sql).await.unwrap();
        assert_eq!(case.judge(&mut judge).await.unwrap_err().to_string(), reason);
    }
}
