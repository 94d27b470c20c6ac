-- Installs what db-query-operator needs to tell PostgreSQL "notify me of changes of this table": the schema `dbqo`
-- with a few functions, and nothing else. Needs PostgreSQL 14 or newer.
--
--   psql -v ON_ERROR_STOP=1 -f install.sql        or:   dbqo sql install
--
-- Who may run it: a role with CREATE on the database. Where that role may also create roles (or is superuser), all is
-- owned by the role `dbqo_owner`, which nobody can log in as; else by whoever runs this. (From PostgreSQL 16 on, to
-- create roles is not enough where somebody else has created that one, for another database of the server: it has to be
-- granted, GRANT dbqo_owner TO ... WITH ADMIN OPTION.)
-- It is one statement, and so all or nothing. Run again, it changes nothing and takes no lock. A newer installation is
-- left alone.
--
-- Afterwards, for each table:      SELECT dbqo.watch('schema.table');
--
-- whose key columns are then those of its primary key; for others: dbqo.watch('schema.table', '{key_column,...}').
--
-- What a watched table gets: one function `dbqo.n_<oid of the table>` and triggers that call it after INSERT, UPDATE,
-- DELETE and TRUNCATE. It sends on channel `dbqo`:
--
--   {"v":1, "t":<oid of the watched table>, "c":["id"], "k":[["1"],["2"]]}
--
-- c are the key columns and k the keys of the rows that changed, as text; k is null where all may have changed: after
-- TRUNCATE, for more than 100 keys, or for more than 7,000 bytes. It reads no table, and writes none.
-- A session or role opts out with  SET dbqo.skip = on  (bulk loads, say).
--
-- Who can read that: every role of the database, as PostgreSQL has no rights for LISTEN; so also keys of tables that it may
-- not SELECT from. (Where nobody listens nothing is sent, unless there are no slots.) Where keys are secret, let others be
-- the key columns, or keep such roles out of the database: REVOKE CONNECT ON DATABASE ... FROM PUBLIC.

DO $install$
DECLARE
  -- Of the payload and of what callers rely on.
  version CONSTANT int := 1;
  -- Of this text: raise it with every change.
  revision CONSTANT int := 1;
  functions CONSTANT text[] := ARRAY[
    'version()', 'revision()', 'about(oid)', 'tree(oid)', 'subscribed(oid)', 'per_row(oid)', 'triggers(oid,bool)',
    'settings(oid,name[])', 'key_of(name[],text)', 'body(oid,name[],int)', 'may(oid)', 'make(oid,name[],int)',
    'deadline(int8)', 'hurry(timestamptz,int8)', 'watch(regclass,name[],int)', 'unwatch(regclass)', 'uninstall()',
    'fits(pg_trigger,int2,name,name,oid)', 'check(regclass)'];
  there int[] := '{0,0}';
  owner name;
  role_before CONSTANT text := pg_catalog.current_setting('role');
  search_path_before CONSTANT text := pg_catalog.current_setting('search_path');
  lock_timeout_before CONSTANT text := pg_catalog.current_setting('lock_timeout');
BEGIN
  -- Until this ends, whatever the session's is: no name below is looked up elsewhere.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
<<work>>
BEGIN
  -- Two rounds: what is there is looked at first without a lock, and again with it.
  FOR round IN 1..2 LOOP
    -- Whoever may create a schema could have created this one, with functions of that name that others then call.
    SELECT r.rolname INTO owner FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
      WHERE n.nspname = 'dbqo';
    IF owner NOT IN ('dbqo_owner', CURRENT_USER) AND NOT EXISTS (
        SELECT FROM pg_roles r WHERE r.rolname = owner AND (r.rolsuper OR r.oid = (
          SELECT d.datdba FROM pg_database d WHERE d.datname = current_database()))) THEN
      RAISE EXCEPTION 'dbqo: the schema dbqo belongs to role %, and not to dbqo_owner, the role that installs, the'
        ' database''s owner or a superuser', owner USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF to_regprocedure('dbqo.version()') IS NOT NULL
       AND to_regprocedure('dbqo.revision()') IS NOT NULL THEN
      EXECUTE 'SELECT ARRAY[dbqo.version(), dbqo.revision()]' INTO there;
    END IF;
    IF there[1] > version THEN
      RAISE WARNING 'dbqo: version % is installed, which is newer than %; it is left as it is', there[1], version;
      EXIT work;
    END IF;
    IF there[1] = version AND there[2] >= revision AND NOT EXISTS (
        SELECT FROM unnest(functions) AS f WHERE to_regprocedure('dbqo.' || f) IS NULL) THEN
      EXIT work;
    END IF;
    IF round = 1 THEN
      PERFORM set_config('lock_timeout', '2s', true);
      PERFORM pg_advisory_xact_lock(1684173166, 0);
    END IF;
  END LOOP;

  -- The owner. A role belongs to all databases of a server, so another one may have made it.
  IF owner IS NULL THEN
    IF to_regrole('dbqo_owner') IS NULL THEN
      BEGIN
        CREATE ROLE dbqo_owner NOLOGIN;
      EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
    owner := CURRENT_USER;
    IF to_regrole('dbqo_owner') IS NOT NULL
       AND NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = 'dbqo_owner') THEN
      BEGIN
        SET LOCAL ROLE dbqo_owner;
        owner := 'dbqo_owner';
      EXCEPTION WHEN insufficient_privilege THEN
        BEGIN
          -- Whoever may create roles may become a member of this one.
          EXECUTE format('GRANT dbqo_owner TO %I', CURRENT_USER);
          SET LOCAL ROLE dbqo_owner;
          owner := 'dbqo_owner';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
      END;
      EXECUTE format('SET LOCAL ROLE %I', role_before);
    END IF;
    EXECUTE format('CREATE SCHEMA dbqo AUTHORIZATION %I', owner);
  END IF;
  EXECUTE format('SET LOCAL ROLE %I', owner);

  CREATE OR REPLACE FUNCTION dbqo.version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
  EXECUTE format('CREATE OR REPLACE FUNCTION dbqo.revision() RETURNS int LANGUAGE sql IMMUTABLE AS %L',
    format('SELECT %s', revision));

  -- What a table's function sends: {"keys":[...],"slots":1}. It is kept as the function's comment, because that can be
  -- read by everybody. Null where there is no function, or somebody else wrote the comment.
  CREATE OR REPLACE FUNCTION dbqo.about(root oid) RETURNS json LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
  DECLARE
    about json;
  BEGIN
    -- Not by to_regprocedure, which may not know yet what another session has committed while we waited for it.
    SELECT obj_description(p.oid, 'pg_proc') INTO about FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = 'dbqo' AND p.proname = format('n_%s', root) AND p.pronargs = 0;
    IF json_typeof(about->'keys') = 'array' AND (about->>'slots')::int >= 0 THEN
      RETURN about;
    END IF;
    RETURN NULL;
  EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
  END $f$;

  -- The table, its partitions, and its inheritance children, at every depth.
  CREATE OR REPLACE FUNCTION dbqo.tree(root oid) RETURNS SETOF oid LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
    WITH RECURSIVE tree(relation) AS (
      SELECT root UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
    )
    SELECT relation FROM tree
  $f$;

  -- Whether a logical subscription writes into it. Such writes fire only triggers for each row that are ENABLE ALWAYS.
  CREATE OR REPLACE FUNCTION dbqo.subscribed(root oid) RETURNS bool LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
    SELECT EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid IN (SELECT dbqo.tree(root)))
  $f$;

  -- Whether its triggers are for each row rather than for each statement: for all that is part of another table or has
  -- parts. A statement fires only the triggers of the table that it names, so a write to a part would not be seen through
  -- the whole, nor the other way round; and one that reaches a foreign table fails where triggers for each statement
  -- collect its rows. Triggers for each row are handed on to partitions by PostgreSQL, to those that are attached later,
  -- too. Subscriptions fire no others.
  CREATE OR REPLACE FUNCTION dbqo.per_row(root oid) RETURNS bool LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
    SELECT c.relkind = 'p' OR dbqo.subscribed(root)
      OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = root OR i.inhrelid = root)
    FROM pg_class c WHERE c.oid = root
  $f$;

  -- The triggers that a watched table has to have. Their names tell whose they are, so that a table may be watched
  -- itself and be part of another one that is. Both kinds have the same names: CREATE OR REPLACE makes one the other.
  -- Inheritance children hear of no trigger of their parent, so each gets its own; partitions lack only that for
  -- TRUNCATE.
  CREATE OR REPLACE FUNCTION dbqo.triggers(root oid, has_keys bool)
    RETURNS TABLE (n int8, relation oid, name name, type int2, new_table name, old_table name, definition text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT row_number() OVER (ORDER BY c.oid <> root, c.oid, e.bit),
        c.oid, t.name, t.type, t.new_table, t.old_table, format(
        'CREATE OR REPLACE TRIGGER %I AFTER %s ON %I.%I%s FOR EACH %s EXECUTE FUNCTION dbqo.%I()',
        t.name, e.event, n.nspname, c.relname,
        CASE WHEN t.new_table IS NOT NULL OR t.old_table IS NOT NULL THEN ' REFERENCING' ELSE '' END
          || coalesce(' NEW TABLE AS ' || t.new_table, '') || coalesce(' OLD TABLE AS ' || t.old_table, ''),
        CASE WHEN t.type & 1 = 1 THEN 'ROW' ELSE 'STATEMENT' END,
        format('n_%s', root))
    FROM (SELECT r.relkind, dbqo.per_row(root) AS per_row FROM pg_class r WHERE r.oid = root) r
    CROSS JOIN dbqo.tree(root) AS tree(relation)
    JOIN pg_class c ON c.oid = tree.relation AND c.relkind IN ('r', 'p')
    JOIN pg_namespace n ON n.oid = c.relnamespace
    -- The bits of pg_trigger.tgtype.
    CROSS JOIN (VALUES ('INSERT', 'ins', 4), ('UPDATE', 'upd', 16), ('DELETE', 'del', 8), ('TRUNCATE', 'trunc', 32))
      AS e(event, suffix, bit)
    CROSS JOIN LATERAL (SELECT
        format('dbqo_%s_%s', root, e.suffix)::name AS name,
        (e.bit | CASE WHEN r.per_row AND e.event <> 'TRUNCATE' THEN 1 ELSE 0 END)::int2 AS type,
        CASE WHEN NOT r.per_row AND e.event IN ('INSERT', 'UPDATE') THEN 'dbqo_new'::name END AS new_table,
        CASE WHEN NOT r.per_row AND (e.event = 'DELETE' OR e.event = 'UPDATE' AND has_keys)
             THEN 'dbqo_old'::name END AS old_table) t
    WHERE c.oid = root OR r.relkind = 'r' OR e.event = 'TRUNCATE'
  $f$;

  -- Whether the keys' text depends on settings of the session that writes. Types are listed whose text does not; to set
  -- the others' settings costs some microseconds for each statement.
  CREATE OR REPLACE FUNCTION dbqo.settings(root oid, keys name[]) RETURNS text[] LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
    WITH RECURSIVE base(type) AS (
      SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = root AND a.attnum > 0 AND a.attname = ANY (keys)
      UNION SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
      FROM base JOIN pg_type t ON t.oid = base.type
      WHERE t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem <> 0
    )
    SELECT ARRAY['TimeZone=UTC', 'DateStyle=ISO', 'IntervalStyle=postgres', 'bytea_output=hex', 'extra_float_digits=1']
    WHERE EXISTS (
      SELECT FROM base JOIN pg_type t ON t.oid = base.type
      WHERE NOT (t.typtype IN ('d', 'e') OR t.typcategory IN ('S', 'A') OR base.type IN (
        'bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'oid'::regtype,
        'uuid'::regtype, '"char"'::regtype, 'time'::regtype, 'inet'::regtype, 'cidr'::regtype, 'macaddr'::regtype,
        'macaddr8'::regtype, 'bit'::regtype, 'varbit'::regtype, 'json'::regtype, 'jsonb'::regtype)))
  $f$;

  -- One row's key, as SQL for the text of a JSON array: of a row variable (NEW) or of a table's alias.
  CREATE OR REPLACE FUNCTION dbqo.key_of(keys name[], of_row text) RETURNS text LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $f$
    SELECT format('pg_catalog.json_build_array(%s)::pg_catalog.text',
                  string_agg(format('%s.%I::pg_catalog.text', of_row, key), ', ' ORDER BY n))
    FROM unnest(keys) WITH ORDINALITY AS k(key, n)
  $f$;

  -- The body of a table's function. It runs as whoever writes to the table, with that role's search_path and settings:
  -- so every name in it is qualified or quoted, operators and types too. (A search_path of its own would cost more than
  -- all the rest.) Columns come with what they are columns of, so that none is taken for a variable.
  -- Whatever fails in it is caught, as it must not fail the statement: a key column that was dropped or renamed, no
  -- room for one more lock, no right to call a function. To be ready for that costs a few microseconds a statement.
  CREATE OR REPLACE FUNCTION dbqo.body(root oid, keys name[], slots int) RETURNS text LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
  DECLARE
    per_row CONSTANT bool := dbqo.per_row(root);
    has_keys CONSTANT bool := cardinality(keys) > 0;
    -- How the payload begins.
    head CONSTANT text := format('{"v":1,"t":%s,"c":%s,"k":', root, array_to_json(keys));
    -- A table's number as locks have it: four bytes with a sign.
    number CONSTANT int8 := root::int8 - CASE WHEN root::int8 > 2147483647 THEN 4294967296 ELSE 0 END;
    bell text := '';
    look text := '';
  BEGIN
    FOR slot IN 0..slots - 1 LOOP
      bell := bell || format($b$
  IF NOT pg_catalog.pg_try_advisory_xact_lock_shared(%s, %s) THEN
    armed := true;
  END IF;$b$, 1684173167 + 2 * slot + 1, number);
    END LOOP;
    IF slots > 0 THEN
      bell := $b$
  -- The bell. An operator that wants to be told holds the lock of its slot, or waits for it, and then it cannot be had
  -- here. One that is had is kept until this transaction ends: so an operator that comes for it later waits for what
  -- nobody was told of. All slots are tried, though one is enough to send: each operator relies on its own lock,
  -- whatever becomes of the notification.$b$ || bell || $b$
  IF NOT armed THEN
    RETURN NULL;
  END IF;$b$;
    END IF;

    IF per_row AND has_keys THEN
      look := format($b$
  IF TG_OP OPERATOR(pg_catalog.<>) 'TRUNCATE' THEN
    IF TG_OP OPERATOR(pg_catalog.<>) 'DELETE' THEN
      keys := %s;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.<>) 'INSERT' THEN
      old_key := %s;
      IF keys IS NULL THEN
        keys := old_key;
      ELSIF keys OPERATOR(pg_catalog.<>) old_key THEN
        keys := keys OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) old_key;
      END IF;
    END IF;
  END IF;$b$, dbqo.key_of(keys, 'NEW'), dbqo.key_of(keys, 'OLD'));
    ELSIF has_keys AND NOT per_row THEN
      SELECT string_agg(format($b$
  %s TG_OP OPERATOR(pg_catalog.=) %L THEN
    SELECT pg_catalog.count(*), pg_catalog.sum(d.times), pg_catalog.string_agg(d.key, ',')
      INTO found, looked_at, keys
      FROM (SELECT r.key, pg_catalog.count(*) AS times
              FROM (%s) AS r
             GROUP BY r.key LIMIT 101) AS d;$b$,
          CASE e.n WHEN 1 THEN 'IF' ELSE 'ELSIF' END, e.event, array_to_string(ARRAY(
            SELECT format('(SELECT %1$s COLLATE pg_catalog."C" AS key FROM dbqo_%2$s LIMIT 1001)',
                          dbqo.key_of(keys, 'dbqo_' || side), side)
            FROM unnest(e.sides) AS side), '
                    UNION ALL
                    ')), '' ORDER BY e.n) || $b$
  END IF;
  IF found OPERATOR(pg_catalog.=) 0 THEN
    RETURN NULL;
  END IF;
  -- Of many rows not all keys are looked at.
  IF found OPERATOR(pg_catalog.>) 100 OR looked_at OPERATOR(pg_catalog.>) 1000 THEN
    keys := NULL;
  END IF;$b$
        INTO look
        FROM (VALUES (1, 'INSERT', ARRAY['new']), (2, 'UPDATE', ARRAY['new', 'old']), (3, 'DELETE', ARRAY['old']))
          AS e(n, event, sides);
    ELSIF NOT per_row THEN
      look := $b$
  IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
    IF NOT EXISTS (SELECT FROM dbqo_old) THEN
      RETURN NULL;
    END IF;
  ELSIF TG_OP OPERATOR(pg_catalog.<>) 'TRUNCATE' THEN
    IF NOT EXISTS (SELECT FROM dbqo_new) THEN
      RETURN NULL;
    END IF;
  END IF;$b$;
    END IF;

    RETURN format($b$#variable_conflict use_column
DECLARE
  armed pg_catalog.bool := false;
  sent pg_catalog.text;
  found pg_catalog.int8;
  looked_at pg_catalog.int8;
  keys pg_catalog.text;
  old_key pg_catalog.text;
  payload pg_catalog.text;
BEGIN
  IF pg_catalog.current_setting('dbqo.skip', true) OPERATOR(pg_catalog.=) 'on' THEN
    RETURN NULL;
  END IF;%2$s
  -- How often something was sent in this transaction. After "all" there is nothing to add. Where nobody is to be told,
  -- which is mostly so where changes are frequent, this is not looked at.
  sent := pg_catalog.current_setting(%1$L, true);
  IF sent OPERATOR(pg_catalog.=) 'all' THEN
    RETURN NULL;
  END IF;
  -- A full queue would fail the COMMIT. It fills up when somebody does not read it.
  IF pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.>) 0.25 THEN
    RETURN NULL;
  END IF;%3$s
  IF keys IS NOT NULL THEN
    payload := %4$L OPERATOR(pg_catalog.||) '[' OPERATOR(pg_catalog.||) keys OPERATOR(pg_catalog.||) ']}';
  END IF;
  IF sent IS NULL OR sent OPERATOR(pg_catalog.=) '' THEN
    sent := '0';
  END IF;
  IF payload IS NULL OR pg_catalog.octet_length(payload) OPERATOR(pg_catalog.>) 7000%6$s
     OR sent::pg_catalog.int4 OPERATOR(pg_catalog.>=) 100 THEN
    PERFORM pg_catalog.pg_notify('dbqo', %5$L);
    PERFORM pg_catalog.set_config(%1$L, 'all', true);
  ELSE
    PERFORM pg_catalog.pg_notify('dbqo', payload);
    PERFORM pg_catalog.set_config(%1$L, (sent::pg_catalog.int4 OPERATOR(pg_catalog.+) 1)::pg_catalog.text, true);
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  BEGIN
    IF pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.<=) 0.25 THEN
      PERFORM pg_catalog.pg_notify('dbqo', %5$L);
    END IF;
  EXCEPTION WHEN OTHERS THEN
    -- The operator looks at the table's counters, too.
    NULL;
  END;
  RETURN NULL;
END$b$,
      format('dbqo.sent_%s', root), bell, look, head, head || 'null}',
      -- Other encodings have characters that the operator's, UTF-8, has not.
      CASE WHEN getdatabaseencoding() <> 'UTF8'
           THEN $b$ OR payload COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '[^ -~]'$b$ ELSE '' END);
  END $f$;

  -- Whether whoever called has the right TRIGGER on the table, or owns it; null where there is no table. It is asked
  -- within functions that run as their owner: so it is not about CURRENT_USER, but about the role that the session has
  -- set or else has logged in as.
  CREATE OR REPLACE FUNCTION dbqo.may(root oid) RETURNS bool LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $f$
    SELECT has_table_privilege(u.name, c.oid, 'TRIGGER') OR pg_has_role(u.name, c.relowner, 'USAGE')
    FROM pg_class c CROSS JOIN (SELECT CASE current_setting('role')
        WHEN 'none' THEN session_user ELSE current_setting('role') END::name) AS u(name)
    WHERE c.oid = root
  $f$;

  -- Makes or updates the function of a table, as the owner of the schema; dbqo.watch makes the triggers, as its caller.
  -- Everybody may call it, since it asks for the right to: whoever may make triggers on a table can have any function
  -- called for it anyway.
  CREATE OR REPLACE FUNCTION dbqo.make(root oid, asked_keys name[], asked_slots int,
      OUT created text[], OUT keys name[], OUT slots int, OUT slots_differ bool)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    SET client_min_messages = warning AS $f$
  DECLARE
    called CONSTANT text := format('n_%s', root);
    kind "char";
    persistence "char";
    of_schema name;
    unknown text;
    about json;
    body text;
    settings text[];
    stale name;
  BEGIN
    SELECT c.relkind, c.relpersistence, n.nspname INTO kind, persistence, of_schema
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = root;
    IF kind IS NULL THEN
      RAISE EXCEPTION 'dbqo: there is no table with oid %', root USING ERRCODE = 'undefined_table';
    ELSIF kind NOT IN ('r', 'p') OR persistence = 't' OR of_schema IN ('pg_catalog', 'information_schema') THEN
      RAISE EXCEPTION 'dbqo: % cannot be watched: only permanent tables of users can', root::regclass
        USING ERRCODE = 'wrong_object_type';
    ELSIF NOT dbqo.may(root) THEN
      RAISE EXCEPTION 'dbqo: the right TRIGGER on % is needed, or to own it', root::regclass
        USING ERRCODE = 'insufficient_privilege';
    ELSIF asked_slots NOT BETWEEN 0 AND 16 THEN
      RAISE EXCEPTION 'dbqo: slots must be from 0 to 16' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT min(coalesce(quote_ident(k), 'NULL')) INTO unknown FROM unnest(asked_keys) AS k WHERE NOT EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = root AND a.attname = k AND a.attnum > 0 AND NOT a.attisdropped);
    IF unknown IS NOT NULL THEN
      RAISE EXCEPTION 'dbqo: % has no column %', root::regclass, unknown USING ERRCODE = 'undefined_column';
    END IF;

    -- Two rounds: what is there is looked at first without a lock, and again with it.
    FOR round IN 1..2 LOOP
      -- Nobody's keys and slots are taken away by somebody else who asks for fewer.
      about := dbqo.about(root);
      keys := ARRAY(SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = root AND a.attnum > 0 AND NOT a.attisdropped
          AND (a.attname = ANY (asked_keys) OR a.attname::text IN (SELECT json_array_elements_text(about->'keys'))
            -- Not the columns that the index only includes, which come last.
            OR asked_keys IS NULL AND about IS NULL AND EXISTS (
              SELECT FROM pg_index i WHERE i.indrelid = root AND i.indisprimary
                AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
        ORDER BY a.attnum);
      slots := CASE WHEN asked_slots = 0 THEN 0 ELSE coalesce(greatest(asked_slots, (about->>'slots')::int), 1) END;
      slots_differ := coalesce(slots <> (about->>'slots')::int, false);
      body := dbqo.body(root, keys, slots);
      settings := dbqo.settings(root, keys);
      created := '{}';
      IF about IS NOT NULL AND EXISTS (
          SELECT FROM pg_proc p WHERE p.pronamespace = 'dbqo'::regnamespace AND p.proname = called AND p.pronargs = 0
            AND p.prosrc = body AND p.proconfig IS NOT DISTINCT FROM settings) THEN
        RETURN;
      END IF;
      IF round = 1 THEN
        PERFORM pg_advisory_xact_lock(1684173166, hashoid(root));
      END IF;
    END LOOP;
    IF cardinality(keys) > 32 OR octet_length(array_to_json(keys)::text) > 3000 THEN
      RAISE EXCEPTION 'dbqo: too many key columns, or with names that are too long'
        USING ERRCODE = 'program_limit_exceeded';
    ELSIF getdatabaseencoding() <> 'UTF8'
          AND EXISTS (SELECT FROM unnest(keys) AS k WHERE k::text COLLATE "C" ~ '[^ -~]') THEN
      RAISE EXCEPTION 'dbqo: in a database whose encoding is not UTF8, names of key columns must be ASCII'
        USING ERRCODE = 'feature_not_supported';
    END IF;

    -- The body goes in quotes. In between dollars, the name of a column could end it.
    EXECUTE format('CREATE OR REPLACE FUNCTION dbqo.%I() RETURNS trigger LANGUAGE plpgsql %s AS %L', called,
      (SELECT string_agg(format('SET %I = %L', split_part(s, '=', 1), split_part(s, '=', 2)), ' ')
         FROM unnest(settings) AS s), body);
    EXECUTE format('GRANT EXECUTE ON FUNCTION dbqo.%I() TO PUBLIC', called);
    EXECUTE format('COMMENT ON FUNCTION dbqo.%I() IS %L', called, json_build_object('keys', keys, 'slots', slots));
    created := ARRAY[format('function dbqo.%s()', called)];

    -- A table that was restored from a dump has another number than the function that its triggers call.
    FOR stale IN
      SELECT DISTINCT p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid IN (SELECT dbqo.tree(root)) AND p.pronamespace = 'dbqo'::regnamespace AND p.proname ~ '^n_[0-9]+$'
        AND NOT EXISTS (SELECT FROM pg_trigger o
                        WHERE o.tgfoid = p.oid AND o.tgrelid IN (SELECT dbqo.tree(substr(p.proname, 3)::oid)))
    LOOP
      EXECUTE format('DROP FUNCTION dbqo.%I() CASCADE', stale);
    END LOOP;
  END $f$;

  -- Until when the locks of so many tables may be waited for. Whoever has written to one of several, and waits for us at
  -- another, may be the one for whom we wait: the server would end one of us for that. Before it looks we have given up.
  CREATE OR REPLACE FUNCTION dbqo.deadline(tables bigint) RETURNS timestamptz
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT clock_timestamp() + CASE WHEN tables > 1
      THEN least(interval '2s', current_setting('deadlock_timeout')::interval * 0.9) ELSE interval '2s' END
  $f$;

  -- Lets so many locks, one after the other, be waited for until then, and not much longer. While we wait for one,
  -- whoever writes to that table waits behind us, and to those we have as well: so all locks together may take as long
  -- as one.
  CREATE OR REPLACE FUNCTION dbqo.hurry(until timestamptz, locks bigint) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT set_config('lock_timeout',
      greatest(1, extract(epoch FROM until - clock_timestamp()) * 1000 / greatest(1, locks))::int::text, true)
  $f$;

  -- Watches a table: makes or updates its function and its triggers, and returns what it made; nothing, where all is as
  -- it has to be, and then it takes no lock either. Needs the right TRIGGER on the table.
  --   keys   columns that are sent of the rows that changed, besides those that others have asked for. Where nobody says
  --          which, the table's primary key when it is first watched, and later no more than there are. '{}' is none.
  --   slots  how many operators can have a bell each; 1 where nobody says otherwise. With 0 there is none and every
  --          change is sent. It is not lowered but to 0.
  CREATE OR REPLACE FUNCTION dbqo.watch(rel regclass, keys name[] DEFAULT NULL, slots int DEFAULT NULL) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $f$
  DECLARE
    made record;
    one record;
    created text[];
    until CONSTANT timestamptz := dbqo.deadline((SELECT count(*) FROM dbqo.tree(rel)));
    subscribed CONSTANT bool := dbqo.subscribed(rel);
  BEGIN
    SELECT * INTO made FROM dbqo.make(rel, keys, slots);
    created := made.created;
    FOR one IN
      SELECT w.*, format('%I.%I', n.nspname, c.relname) AS shown,
          CASE c.relkind WHEN 'p' THEN (SELECT count(*) FROM dbqo.tree(w.relation)) ELSE 1 END AS locks, coalesce(t.tgenabled, 'O') AS enabled,
          pg_has_role(c.relowner, 'USAGE') AS is_owner, t.oid IS NOT NULL AS is_there,
          p.pronamespace = 'dbqo'::regnamespace AS is_ours, dbqo.fits(t, w.type, w.new_table, w.old_table, rel) AS fits
        FROM dbqo.triggers(rel, cardinality(made.keys) > 0) w
        JOIN pg_class c ON c.oid = w.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_trigger t ON t.tgrelid = w.relation AND t.tgname = w.name
        LEFT JOIN pg_proc p ON p.oid = t.tgfoid
        -- Parts of it that we have no right to are left out; dbqo.check tells which.
        WHERE w.relation = rel OR has_table_privilege(w.relation, 'TRIGGER')
        ORDER BY w.n
    LOOP
      -- With other slots the triggers are made anew though they fit: that waits until all have ended for whom the
      -- former slots held.
      IF made.slots_differ OR one.fits IS NOT TRUE THEN
        IF one.is_there AND NOT one.is_ours THEN
          RAISE EXCEPTION 'dbqo: % has a trigger % already, which is not ours', one.shown, one.name
            USING ERRCODE = 'duplicate_object';
        ELSIF one.enabled <> 'O' AND NOT one.is_owner THEN
          RAISE EXCEPTION 'dbqo: trigger % of % was enabled or disabled in a way that only the table''s owner can keep',
            one.name, one.shown USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM dbqo.hurry(until, one.locks);
        EXECUTE one.definition;
        created := created || format('trigger %s on %s', one.name, one.shown);
        -- That has enabled it.
        IF one.enabled <> 'O' THEN
          EXECUTE format('ALTER TABLE %s %s TRIGGER %I', one.shown,
            CASE one.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, one.name);
        END IF;
      END IF;
      IF subscribed AND one.enabled = 'O' AND one.is_owner THEN
        PERFORM dbqo.hurry(until, one.locks);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', one.shown, one.name);
        created := created || format('trigger %s on %s, enabled always', one.name, one.shown);
      END IF;
    END LOOP;
    RETURN created;
  END $f$;

  -- Ends it: drops the table's function, and its triggers with it. Needs the right TRIGGER on the table. A table that is
  -- gone is named by its number: dbqo.unwatch(16384::oid).
  CREATE OR REPLACE FUNCTION dbqo.unwatch(rel regclass) RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    SET client_min_messages = warning AS $f$
  DECLARE
    called CONSTANT text := format('dbqo.n_%s()', rel::oid);
    until CONSTANT timestamptz := dbqo.deadline((SELECT count(DISTINCT t.tgrelid) FROM pg_trigger t
      WHERE t.tgfoid = to_regprocedure(called)));
    removed text[];
  BEGIN
    IF NOT coalesce(dbqo.may(rel), (SELECT bool_and(dbqo.may(t.tgrelid)) FROM pg_trigger t
                                    WHERE t.tgfoid = to_regprocedure(called)), true) THEN
      RAISE EXCEPTION 'dbqo: the right TRIGGER on % is needed, or to own it', rel
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF to_regprocedure(called) IS NULL THEN
      RETURN '{}';
    END IF;
    removed := ARRAY(SELECT format('trigger %s on %s', t.tgname, t.tgrelid::regclass)
                     FROM pg_trigger t WHERE t.tgfoid = to_regprocedure(called) ORDER BY 1);
    PERFORM dbqo.hurry(until, cardinality(removed));
    EXECUTE format('DROP FUNCTION %s CASCADE', called);
    RETURN format('function %s', called) || removed;
  END $f$;

  -- Ends all of it: all functions with their triggers, the schema, and the role dbqo_owner where no other database needs
  -- it. Waits for locks two seconds in all; on a busy database, unwatch the tables one by one before.
  CREATE OR REPLACE FUNCTION dbqo.uninstall() RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
    SET client_min_messages = warning AS $f$
  DECLARE
    owner CONSTANT name := (SELECT pg_get_userbyid(n.nspowner) FROM pg_namespace n WHERE n.nspname = 'dbqo');
    until CONSTANT timestamptz := dbqo.deadline((SELECT count(DISTINCT t.tgrelid) FROM pg_trigger t
      JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.pronamespace = 'dbqo'::regnamespace));
    removed text[];
    one record;
  BEGIN
    IF NOT pg_has_role(owner, 'USAGE') THEN
      RAISE EXCEPTION 'dbqo: the schema dbqo belongs to role %, who has to do this', owner
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR one IN
      SELECT p.oid::regprocedure::text AS called, ARRAY(SELECT format('trigger %s on %s', t.tgname, t.tgrelid::regclass)
          FROM pg_trigger t WHERE t.tgfoid = p.oid ORDER BY 1) AS triggers
        FROM pg_proc p WHERE p.pronamespace = 'dbqo'::regnamespace AND p.proname ~ '^n_[0-9]+$' ORDER BY p.oid
    LOOP
      PERFORM dbqo.hurry(until, cardinality(one.triggers));
      EXECUTE format('DROP FUNCTION %s CASCADE', one.called);
      removed := removed || format('function %s', one.called) || one.triggers;
    END LOOP;
    DROP SCHEMA dbqo CASCADE;
    removed := removed || 'schema dbqo'::text;
    IF owner = 'dbqo_owner' THEN
      BEGIN
        DROP ROLE dbqo_owner;
        removed := removed || 'role dbqo_owner'::text;
      EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege OR object_in_use THEN NULL;
      END;
    END IF;
    RETURN removed;
  END $f$;

  -- Whether a trigger is as it has to be.
  CREATE OR REPLACE FUNCTION dbqo.fits(t pg_trigger, type int2, new_table name, old_table name, root oid) RETURNS bool
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT t.tgfoid = to_regprocedure(format('dbqo.n_%s()', root)) AND t.tgtype = type AND t.tgqual IS NULL
      AND t.tgnewtable IS NOT DISTINCT FROM new_table AND t.tgoldtable IS NOT DISTINCT FROM old_table
  $f$;

  -- What is there and what is missing, of one table or of all that are watched; `problem` is null where all is well, and
  -- `statement` is what to run. Rows without a table are about the server. Everybody may ask.
  CREATE OR REPLACE FUNCTION dbqo.check(rel regclass DEFAULT NULL)
    RETURNS TABLE (watched text, has_function bool, has_triggers bool, is_current bool, is_enabled bool,
                   keys text[], slots int, problem text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $f$
  DECLARE
    root oid;
    called text;
    about json;
    problems text[];
    statements text[];
    again text;
    found text;
    found_statements text;
    always bool;
  BEGIN
    FOR root IN
      SELECT rel WHERE rel IS NOT NULL
      UNION SELECT substr(p.proname, 3)::oid FROM pg_proc p
        WHERE rel IS NULL AND p.pronamespace = 'dbqo'::regnamespace AND p.proname ~ '^n_[0-9]+$' ORDER BY 1
    LOOP
      problems := '{}'; statements := '{}';
      called := format('dbqo.n_%s()', root);
      has_function := to_regprocedure(called) IS NOT NULL;
      about := dbqo.about(root);
      keys := ARRAY(SELECT json_array_elements_text(about->'keys'));
      slots := about->>'slots';
      SELECT format('%I.%I', n.nspname, c.relname) INTO watched
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = root;
      IF watched IS NULL THEN
        watched := root; has_triggers := false; is_current := false; is_enabled := false;
        problem := 'the table is gone'; statement := format('SELECT dbqo.unwatch(%s::oid);', root);
        RETURN NEXT;
        CONTINUE;
      END IF;
      -- What is sent is not known where nothing is there.
      again := CASE WHEN about IS NULL THEN format('SELECT dbqo.watch(%L);', watched)
        ELSE format('SELECT dbqo.watch(%L, %L, %s);', watched, ARRAY(SELECT k FROM unnest(keys) AS k WHERE EXISTS (
          SELECT FROM pg_attribute a WHERE a.attrelid = root AND a.attname = k AND a.attnum > 0 AND NOT a.attisdropped)),
        slots) END;

      IF NOT has_function THEN
        problems := problems || 'it is not watched'::text; statements := statements || again;
      END IF;
      is_current := about IS NOT NULL AND EXISTS (SELECT FROM pg_proc p WHERE p.oid = to_regprocedure(called)
        AND p.prosrc = dbqo.body(root, keys::name[], coalesce(slots, 1))
        AND p.proconfig IS NOT DISTINCT FROM dbqo.settings(root, keys::name[]));
      SELECT string_agg(quote_ident(k), ', ') INTO found FROM unnest(keys) AS k WHERE NOT EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = root AND a.attname = k AND a.attnum > 0 AND NOT a.attisdropped);
      IF found IS NOT NULL THEN
        is_current := false;
        problems := problems
          || format('there is no key column %s any more, so every change counts as one of all rows', found);
        statements := statements || again;
      ELSIF has_function AND NOT is_current THEN
        problems := problems || 'its function is not as this version makes it'::text; statements := statements || again;
      END IF;

      SELECT string_agg(format('trigger %s on %s is missing or not as it has to be', w.name, w.relation::regclass), '; ')
        INTO found
        FROM dbqo.triggers(root, cardinality(keys) > 0) w
        LEFT JOIN pg_trigger t ON t.tgrelid = w.relation AND t.tgname = w.name
        WHERE dbqo.fits(t, w.type, w.new_table, w.old_table, root) IS NOT TRUE;
      has_triggers := has_function AND found IS NULL;
      IF has_function AND found IS NOT NULL THEN
        problems := problems || found; statements := statements || again;
      END IF;

      -- Also of partitions, to which PostgreSQL has handed the triggers on.
      always := dbqo.subscribed(root);
      SELECT string_agg(format('trigger %s on %s is not enabled%s', t.tgname, t.tgrelid::regclass,
               CASE WHEN always THEN ' always, as a table with a subscription needs it' ELSE '' END), '; '),
             string_agg(format('ALTER TABLE %I.%I ENABLE %sTRIGGER %I;', n.nspname, c.relname,
               CASE WHEN always THEN 'ALWAYS ' ELSE '' END, t.tgname), E'\n')
        INTO found, found_statements
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE t.tgfoid = to_regprocedure(called) AND NOT (t.tgenabled = 'A' OR t.tgenabled = 'O' AND NOT always);
      is_enabled := has_function AND found IS NULL;
      IF found IS NOT NULL THEN
        problems := problems || found; statements := statements || found_statements;
      END IF;

      -- Restored from a dump, or once part of another table.
      SELECT string_agg(format('trigger %s on %s is another table''s', t.tgname, t.tgrelid::regclass), '; '),
             string_agg(format('DROP TRIGGER %I ON %I.%I;', t.tgname, n.nspname, c.relname), E'\n')
        INTO found, found_statements
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE t.tgrelid = root AND p.pronamespace = 'dbqo'::regnamespace AND p.proname ~ '^n_[0-9]+$'
          AND root NOT IN (SELECT dbqo.tree(substr(p.proname, 3)::oid));
      IF found IS NOT NULL THEN
        problems := problems || found; statements := statements || found_statements;
      END IF;

      SELECT string_agg(c.oid::regclass::text, ', ') INTO found
        FROM dbqo.tree(root) AS tree(relation) JOIN pg_class c ON c.oid = tree.relation WHERE c.relkind = 'f';
      IF found IS NOT NULL THEN
        problems := problems || format('changes of foreign tables that are part of it are not seen: %s', found);
      END IF;

      problem := nullif(array_to_string(problems, '; '), '');
      SELECT string_agg(s, E'\n' ORDER BY n) INTO statement
        FROM (SELECT s, min(n) AS n FROM unnest(statements) WITH ORDINALITY AS u(s, n) GROUP BY s) AS u;
      RETURN NEXT;
    END LOOP;

    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL
      INTO watched, has_function, has_triggers, is_current, is_enabled, keys, slots;
    statement := NULL;
    IF current_setting('max_prepared_transactions')::int > 0 THEN
      problem := 'max_prepared_transactions is not 0: a transaction that changed a watched table and notified cannot be'
        ' prepared (PREPARE TRANSACTION fails)';
      RETURN NEXT;
    END IF;
    IF pg_notification_queue_usage() > 0.25 THEN
      problem := 'the notification queue is more than a quarter full, so nothing is sent: some session listens and does'
        ' not read, most likely because it is in a transaction';
      statement := 'SELECT pid, usename, application_name, state FROM pg_stat_activity ORDER BY xact_start;';
      RETURN NEXT;
    END IF;
  END $f$;

  -- All of it can be seen by everybody, and nothing changed: what changes something asks who calls.
  GRANT USAGE ON SCHEMA dbqo TO PUBLIC;
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA dbqo TO PUBLIC;
  COMMENT ON SCHEMA dbqo IS 'db-query-operator: notifications of changed rows';

END work;
  PERFORM pg_catalog.set_config('role', role_before, true);
  PERFORM pg_catalog.set_config('lock_timeout', lock_timeout_before, true);
  PERFORM pg_catalog.set_config('search_path', search_path_before, true);
END $install$;
