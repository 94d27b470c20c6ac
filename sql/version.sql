-- Which version is installed. Everybody may ask.
--
--   psql -f version.sql

SELECT dbqo.version(), dbqo.revision();
