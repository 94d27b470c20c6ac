-- Removes all that install.sql and watch.sql have made: functions, triggers, the schema dbqo, and the role dbqo_owner
-- unless another database needs it. Needs the rights of the schema's owner, and waits two seconds at most for those who
-- use the tables; on a busy database, unwatch the tables one by one before.
--
--   psql -f uninstall.sql        or:   dbqo sql uninstall

SELECT dbqo.uninstall() AS removed;
