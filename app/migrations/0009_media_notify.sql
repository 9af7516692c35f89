SET LOCAL lock_timeout = '2s';

-- Tells every process when a media has become ready or failed, or was looked into anew: pages show it then. Changes of names and the like
-- are not told.
CREATE FUNCTION media_notify() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('media', NEW.id || ' ' || NEW.status);
    RETURN NULL;
END
$$;

CREATE TRIGGER media_notify AFTER UPDATE OF status ON media
    FOR EACH ROW EXECUTE FUNCTION media_notify();
