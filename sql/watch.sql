-- Watches a table: makes what is missing of its function and its triggers, and says what. Needs the right TRIGGER on the
-- table, and waits two seconds at most for those who write to it.
--
--   psql -v table=public.tenants -v keys='{id}' -f watch.sql        or:   dbqo sql watch --table public.tenants --keys id
--
-- keys are columns by which changed rows are found again (unless somebody said otherwise, the primary key; '{}' for
-- none); slots how many operators may have a bell each (1 unless somebody said otherwise).

\if :{?keys}
\set dbqo_keys :'keys'
\else
\set dbqo_keys NULL
\endif
\if :{?slots}
\else
\set slots NULL
\endif
SELECT dbqo.watch(:'table', :dbqo_keys, :slots) AS created;
