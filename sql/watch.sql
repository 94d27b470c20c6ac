-- Watches a table: makes what is missing of its function and its triggers, and says what. Needs the right TRIGGER on the
-- table, and waits two seconds at most for those who write to it.
--
--   psql -v table=public.tenants -v keys='{id}' -f watch.sql        or:   dbqo sql watch --table public.tenants --keys id
--
-- keys are columns by which changed rows are found again; slots how many operators may have a bell each (1
-- unless somebody said otherwise).

\if :{?keys}
\else
\set keys '{}'
\endif
\if :{?slots}
\else
\set slots NULL
\endif
SELECT dbqo.watch(:'table', :'keys', :slots) AS created;
