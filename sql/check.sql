-- What is there and what is missing, of one table or of all that are watched, and which statement mends it. Everybody
-- may ask; nothing is changed.
--
--   psql -x -f check.sql        psql -x -v table=public.tenants -f check.sql        or:   dbqo sql check

\if :{?table}
SELECT * FROM dbqo.check(:'table');
\else
SELECT * FROM dbqo.check();
\endif
