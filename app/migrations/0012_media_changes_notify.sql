SET LOCAL lock_timeout = '2s';

-- Tells every process of what changes in a media that a page shows: also its name, description and tags, its file, the trash, and that it
-- is deleted for ever.
CREATE OR REPLACE FUNCTION media_notify() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        -- A release that does not know this word leaves it out.
        PERFORM pg_notify('media', OLD.id || ' deleted');
    ELSE
        PERFORM pg_notify('media', NEW.id || ' ' || NEW.status);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER media_notify AFTER UPDATE OF status, version OR DELETE ON media
    FOR EACH ROW EXECUTE FUNCTION media_notify();
