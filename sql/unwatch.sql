-- Ends the watch of a table: removes its function and its triggers, and says what it removed. Needs the right TRIGGER on
-- the table, and waits two seconds at most for those who use it.
--
--   psql -v table=public.tenants -f unwatch.sql        or:   dbqo sql unwatch --table public.tenants

SELECT dbqo.unwatch(:'table') AS removed;
